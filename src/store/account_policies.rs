//! The account policies that this node knows: timeouts that the owner of an account has set.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use dashmap::DashMap;

use crate::{audit::AuditRecord, identity::StoreKey, policy::TimeoutOverrides};

/// The timeout overrides of accounts, as far as this node has read them.
///
/// A store owns one and keeps it up to date; the layers read it at every request. While no account
/// has overrides, that is one atomic load.
#[derive(Default)]
pub struct AccountPolicies {
    by_account: DashMap<StoreKey, TimeoutOverrides>,
    /// The length of `by_account`, which costs a lock of each shard there.
    len: AtomicUsize,
}

impl AccountPolicies {
    /// Creates an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the overrides of `account`. The default overrides remove its entry.
    pub fn set_overrides(&self, account: StoreKey, overrides: TimeoutOverrides) {
        if overrides == TimeoutOverrides::default() {
            self.by_account.remove(&account);
        } else {
            self.by_account.insert(account, overrides);
        }
        self.len.store(self.by_account.len(), Relaxed);
    }

    /// Returns the overrides of `account`, if it has any. Computes the key only if some account
    /// has.
    #[inline]
    pub fn overrides(
        &self,
        account: impl FnOnce() -> Option<StoreKey>,
    ) -> Option<TimeoutOverrides> {
        if self.len.load(Relaxed) == 0 {
            return None;
        }
        self.by_account.get(&account()?).map(|overrides| *overrides)
    }
}

/// Replaces the overrides of an account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OverridesChange {
    /// [`StoreKey::account`].
    pub account: StoreKey,
    /// The overrides as the caller has read them.
    pub old: TimeoutOverrides,
    /// The new overrides.
    pub new: TimeoutOverrides,
    /// The audit record to write.
    pub audit: AuditRecord,
}

impl OverridesChange {
    /// Creates a change of `account` from `old` to `new`.
    #[must_use]
    pub const fn new(
        account: StoreKey,
        old: TimeoutOverrides,
        new: TimeoutOverrides,
        audit: AuditRecord,
    ) -> Self {
        Self { account, old, new, audit }
    }
}

impl fmt::Debug for AccountPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountPolicies").field("len", &self.by_account.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn default_overrides_remove_the_entry_of_an_account() {
        let account = || Some(StoreKey::account(None, "acme"));
        let policies = AccountPolicies::new();
        assert_eq!(policies.overrides(|| unreachable!("no account has overrides")), None);
        let short = TimeoutOverrides { idle: Some(Duration::from_secs(300)), absolute: None };
        policies.set_overrides(StoreKey::account(None, "acme"), short);
        assert_eq!(policies.overrides(account), Some(short));
        assert_eq!(policies.overrides(|| Some(StoreKey::account(None, "globex"))), None);
        assert_eq!(policies.overrides(|| None), None);
        policies.set_overrides(StoreKey::account(None, "acme"), TimeoutOverrides::default());
        assert_eq!(policies.overrides(|| unreachable!("no account has overrides")), None);
    }
}
