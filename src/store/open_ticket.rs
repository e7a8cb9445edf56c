//! A ticket that was not used yet.

use crate::{identity::StoreKey, time::Timestamp};

/// The most tickets of one session that are open at the same time. One more closes the oldest.
pub(super) const MAX_PER_SESSION: u32 = 32;

/// A ticket that was issued and not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenTicket {
    /// The key of the ticket.
    pub ticket: StoreKey,
    /// [`StoreKey::session`].
    pub session: StoreKey,
    /// [`StoreKey::user`].
    pub user: StoreKey,
    /// When it was issued.
    pub at: Timestamp,
    /// When it expires.
    pub until: Timestamp,
}

impl OpenTicket {
    /// Creates a ticket that is open from `at` until `until`.
    #[must_use]
    pub const fn new(
        ticket: StoreKey,
        session: StoreKey,
        user: StoreKey,
        at: Timestamp,
        until: Timestamp,
    ) -> Self {
        Self { ticket, session, user, at, until }
    }
}

/// The use of a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TicketUse {
    /// The key of the ticket.
    pub ticket: StoreKey,
    /// [`StoreKey::user`].
    pub user: StoreKey,
    /// When it is used.
    pub now: Timestamp,
}

impl TicketUse {
    /// Creates the use of a ticket at `now`.
    #[must_use]
    pub const fn new(ticket: StoreKey, user: StoreKey, now: Timestamp) -> Self {
        Self { ticket, user, now }
    }
}
