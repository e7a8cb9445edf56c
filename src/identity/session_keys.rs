//! The keys of one session.

use super::StoreKey;

/// The key of a session and that of its user: what a store needs to find a session.
///
/// A store that is divided into parts places a session by its user, so that a step about several
/// sessions of one user needs one part; and it bounds what it keeps of each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionKeys {
    /// [`StoreKey::session`].
    pub session: StoreKey,
    /// [`StoreKey::user`].
    pub user: StoreKey,
}

impl SessionKeys {
    /// Creates the keys of a session of a user.
    #[must_use]
    pub const fn new(session: StoreKey, user: StoreKey) -> Self {
        Self { session, user }
    }
}
