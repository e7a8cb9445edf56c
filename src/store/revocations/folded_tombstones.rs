//! Many tombstones of one user as one.

use std::time::Duration;

use crate::time::Timestamp;

/// The longest skew that a policy may have.
const LONGEST_SKEW: Duration = Duration::from_secs(120);

/// Many tombstones of one user, folded into one: every session of the user with an epoch from
/// `first` to `last` has ended, unless it is [exempt](super::Revocations::exempt).
///
/// A store folds tombstones of sessions that [began](crate::store::LifecycleStore::begin) in it alone, and
/// exempts every other session of the user that did: so no session is revoked that the store does
/// not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoldedTombstones {
    /// The earliest epoch of the sessions.
    pub first: Timestamp,
    /// The latest epoch of the sessions.
    pub last: Timestamp,
    /// Sessions that are exempt from cutoffs at or before this instant are exempt. It is later than
    /// any exemption of a session that has ended.
    pub at: Timestamp,
    /// It is removed at this instant: the latest [`Tombstone::until`](crate::store::Tombstone::until).
    pub until: Timestamp,
}

impl FoldedTombstones {
    /// Creates the tombstone of all sessions with an epoch from `first` to `last` that are not exempt
    /// at `at`, kept until `until`.
    #[must_use]
    pub const fn new(first: Timestamp, last: Timestamp, at: Timestamp, until: Timestamp) -> Self {
        Self { first, last, at, until }
    }

    /// Whether nothing was left of this one when another was made that has this `at`: what lies between
    /// both was not folded. `at` may be later than that by the skew of a cutoff.
    pub(super) fn has_expired_by(&self, at: Timestamp) -> bool {
        self.until + LONGEST_SKEW <= at
    }

    /// Extends the tombstone by another of the same user.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            at: self.at.max(other.at),
            until: self.until.max(other.until),
        }
    }
}
