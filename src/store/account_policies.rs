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
    by_account: DashMap<StoreKey, Versioned>,
    /// How many accounts have overrides other than the default; counting costs a lock of each shard.
    len: AtomicUsize,
}

#[derive(Clone, Copy, Default)]
struct Versioned {
    overrides: TimeoutOverrides,
    version: u64,
}

impl Versioned {
    fn is_default(&self) -> bool {
        self.overrides == TimeoutOverrides::default()
    }
}

impl AccountPolicies {
    /// Creates an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the overrides of `account`. For a store that applies the changes of an account in their
    /// order.
    pub fn set_overrides(&self, account: StoreKey, overrides: TimeoutOverrides) {
        self.replace(account, |present| Versioned { overrides, ..present });
    }

    /// Replaces the overrides of `account` if it has none of this version or a later one. For a store
    /// that numbers the changes of an account by its clock, each greater than the last one, and applies them
    /// in any order.
    pub fn raise_overrides(&self, account: StoreKey, overrides: TimeoutOverrides, version: u64) {
        self.replace(account, |present| {
            if version <= present.version { present } else { Versioned { overrides, version } }
        });
    }

    fn replace(&self, account: StoreKey, new: impl FnOnce(Versioned) -> Versioned) {
        let mut entry = self.by_account.entry(account).or_default();
        let before = *entry;
        *entry = new(before);
        match (before.is_default(), entry.is_default()) {
            (true, false) => {
                self.len.fetch_add(1, Relaxed);
            }
            (false, true) => {
                self.len.fetch_sub(1, Relaxed);
            }
            _ => {}
        }
        let is_empty = entry.is_default() && entry.version == 0;
        drop(entry);
        if is_empty {
            self.by_account
                .remove_if(&account, |_, entry| entry.is_default() && entry.version == 0);
        }
    }

    /// Returns the overrides that have a version, and those.
    #[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
    pub(super) fn all_versions(&self) -> Vec<(StoreKey, TimeoutOverrides, u64)> {
        let versioned = self.by_account.iter().filter(|it| it.version > 0);
        versioned.map(|it| (*it.key(), it.overrides, it.version)).collect()
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
        let entry = self.by_account.get(&account()?)?;
        (!entry.is_default()).then_some(entry.overrides)
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
        f.debug_struct("AccountPolicies")
            .field("len", &self.len.load(Relaxed))
            .finish_non_exhaustive()
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

    #[test]
    fn p20_the_latest_version_of_overrides_counts_in_whatever_order_they_come() {
        let account = StoreKey::account(None, "acme");
        let short =
            |secs| TimeoutOverrides { idle: Some(Duration::from_secs(secs)), absolute: None };
        let policies = AccountPolicies::new();
        let read = || policies.overrides(|| Some(account));
        policies.raise_overrides(account, short(2), 2);
        policies.raise_overrides(account, short(1), 1);
        assert_eq!(read(), Some(short(2)));
        policies.raise_overrides(account, TimeoutOverrides::default(), 4);
        assert_eq!(read(), None);
        policies.raise_overrides(account, short(3), 3);
        assert_eq!(read(), None, "the default is a version, too");
        policies.raise_overrides(account, short(5), 5);
        policies.raise_overrides(account, short(5), 5);
        assert_eq!(read(), Some(short(5)));
        assert_eq!(policies.len.load(Relaxed), 1);
    }
}
