//! Changes of claims in the memory store.

use super::{lifecycle::MILLISECOND, sessions::MemoryStore};
use crate::{store::ClaimsChange, time::Timestamp};

/// With more numbers than this, only one of as many changes removes expired ones, which is O(n) in the
/// numbers.
const NUMBERS_PER_CLEANUP: usize = 1024;

impl MemoryStore {
    /// Raises the number of a scope, and removes expired numbers.
    pub(super) fn change_claims_now(&self, change: ClaimsChange) -> Timestamp {
        let ClaimsChange { scope, now, until, audit } = change;
        let mut lifecycle_state = self.lifecycle_state();
        let number = now.max(lifecycle_state.claims_number + MILLISECOND);
        lifecycle_state.claims_number = number;
        lifecycle_state.claims_changes += 1;
        let changes = lifecycle_state.claims_changes;
        if self.claims_changes.len() <= NUMBERS_PER_CLEANUP
            || changes.is_multiple_of(NUMBERS_PER_CLEANUP)
        {
            self.claims_changes.remove_expired(now);
        }
        self.claims_changes.raise(scope.key(), number, until);
        lifecycle_state.audit_log.append(audit);
        number
    }
}
