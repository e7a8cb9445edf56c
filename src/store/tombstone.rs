//! The tombstone of a session: the record that it has ended.

use crate::{identity::StoreKey, time::Timestamp};

/// The most tombstones that a store keeps of one user, of sessions that began in it: it folds them
/// into one ([`FoldedTombstones`](super::FoldedTombstones)) when there are more.
pub(super) const MAX_PER_USER: usize = 64;

/// The most tombstones that a store keeps of one user that it cannot fold: of sessions that did not
/// begin in it, such as those of another issuer, or from before a restart of a store that forgets. It
/// does not know which other sessions of the user are active.
pub(super) const MAX_UNFOLDED: usize = 1024;

/// The record that a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tombstone {
    /// [`StoreKey::session`].
    pub session: StoreKey,
    /// [`StoreKey::user`], if the caller knows it. A store bounds the tombstones of each user.
    pub user: Option<StoreKey>,
    /// When the session began, for comparison with revocation cutoffs, if the caller knows it.
    pub epoch: Option<Timestamp>,
    /// When the session ends.
    pub at: Timestamp,
    /// The store keeps the tombstone until this instant: the absolute deadline of the session.
    pub until: Timestamp,
}

impl Tombstone {
    /// Creates the tombstone of a session that ends at `at`, kept until `until`.
    #[must_use]
    pub const fn new(session: StoreKey, at: Timestamp, until: Timestamp) -> Self {
        Self { session, user: None, epoch: None, at, until }
    }

    /// Sets the user of the session, and its epoch if it has one.
    #[must_use]
    pub const fn of_user(mut self, user: StoreKey, epoch: Option<Timestamp>) -> Self {
        (self.user, self.epoch) = (Some(user), epoch);
        self
    }
}
