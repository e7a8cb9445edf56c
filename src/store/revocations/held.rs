//! All that a node knows of bulk revocations, for a store that has lost it.

use super::{FoldedTombstones, RevocationCutoff, Revocations};
use crate::identity::StoreKey;

impl Revocations {
    /// Returns the folded tombstones of each user that has some.
    pub(in crate::store) fn all_folded(&self) -> Vec<(StoreKey, FoldedTombstones)> {
        self.folded.iter().map(|folded| (*folded.key(), *folded.value())).collect()
    }

    /// Returns the exempt sessions: of each the latest cutoff that it is exempt from, and until when that
    /// is kept.
    pub(in crate::store) fn all_exemptions(&self) -> Vec<(StoreKey, RevocationCutoff)> {
        self.exempt.iter().map(|exempt| (*exempt.key(), *exempt.value())).collect()
    }
}
