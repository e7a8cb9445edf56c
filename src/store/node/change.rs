//! A change that one node publishes for the others.

use crate::{
    identity::StoreKey,
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff},
    time::Timestamp,
};

/// A change that every node applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Change {
    /// A session has a tombstone; `user` if the store knows it.
    Revoked { session: StoreKey, user: Option<StoreKey>, until: Timestamp },
    /// A session is exempt from cutoffs at or before `at`.
    Exempt { session: StoreKey, at: Timestamp, until: Timestamp },
    /// A scope has a revocation cutoff.
    Cutoff { scope: StoreKey, cutoff: RevocationCutoff },
    /// An account has these overrides since its change of this number, counted from 1.
    TimeoutOverrides { account: StoreKey, overrides: TimeoutOverrides, version: u64 },
    /// The tombstones of a user were folded.
    Folded { user: StoreKey, folded: FoldedTombstones },
    /// The tombstone of a session is one of those that a change before this one has folded.
    TombstoneFolded { session: StoreKey },
    /// The claims of a scope have changed.
    Claims { scope: StoreKey, number: Timestamp, until: Timestamp },
}
