//! The changes of claims that this node knows: a number for each scope whose roles, or other claims of
//! the app, have changed.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::{
    audit::AuditRecord,
    identity::{Scope, Scopes, StoreKey},
    time::Timestamp,
};

/// The claims of a scope have changed: each access token of the scope that was minted before has
/// stale claims.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimsChange {
    /// The scope.
    pub scope: Scope,
    /// When the change was requested.
    pub now: Timestamp,
    /// The number is removed at this instant: every token that was minted before the change has
    /// expired then.
    pub until: Timestamp,
    /// The audit record to write.
    pub audit: AuditRecord,
}

impl ClaimsChange {
    /// Creates a change of the claims of `scope`, which stores keep until `until`.
    #[must_use]
    pub const fn new(scope: Scope, now: Timestamp, until: Timestamp, audit: AuditRecord) -> Self {
        Self { scope, now, until, audit }
    }
}

/// The numbers of the scopes whose claims have changed, as far as this node has read them.
///
/// A store owns one and keeps it up to date; the layers read it at every request. A number is the time
/// of the change in milliseconds, or the number given before plus one if that is greater: whatever the
/// clocks of the nodes say, a later change has a greater number, also that of another scope. While no
/// scope has a number, or none is greater than a token's `claims_at`, reading is one atomic load.
#[derive(Default)]
pub struct ClaimsChanges {
    /// The greatest number in milliseconds; zero while there is none.
    greatest: AtomicU64,
    numbers: DashMap<StoreKey, Number, RandomState>,
    /// Held while `numbers` and `greatest` change together.
    changing: Mutex<()>,
}

#[derive(Clone, Copy)]
struct Number {
    number: Timestamp,
    until: Timestamp,
}

impl ClaimsChanges {
    /// Creates an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the number of a scope; it is removed at `until`. A number and an instant that are later
    /// already stay.
    pub fn raise(&self, scope: StoreKey, number: Timestamp, until: Timestamp) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = self.numbers.entry(scope).or_insert(Number { number, until });
        entry.number = entry.number.max(number);
        entry.until = entry.until.max(until);
        drop(entry);
        // After the number: whoever reads the greatest finds it.
        self.greatest.fetch_max(number.as_millis(), Release);
    }

    /// Returns the greatest number of `scopes`, if one has any.
    #[must_use]
    pub fn number_of(&self, scopes: &Scopes) -> Option<Timestamp> {
        self.number_after(None, || *scopes)
    }

    /// Returns the greatest number of a token's scopes if it is greater than `claims_at` of the token:
    /// then the claims of the token are stale. Computes the scopes only if some number is greater.
    #[inline]
    pub fn number_after(
        &self,
        claims_at: Option<Timestamp>,
        scopes: impl FnOnce() -> Scopes,
    ) -> Option<Timestamp> {
        let claims_at = claims_at.unwrap_or_default();
        if self.greatest.load(Acquire) <= claims_at.as_millis() {
            return None;
        }
        self.find_number(&scopes()).filter(|number| *number > claims_at)
    }

    fn find_number(&self, scopes: &Scopes) -> Option<Timestamp> {
        scopes.keys().filter_map(|scope| self.numbers.get(&scope).map(|it| it.number)).max()
    }

    /// Returns the number of each scope that has one, and until when it is kept.
    #[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
    pub(super) fn all_numbers(&self) -> Vec<(StoreKey, Timestamp, Timestamp)> {
        self.numbers.iter().map(|it| (*it.key(), it.number, it.until)).collect()
    }

    /// Returns how many scopes have a number.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Removes the numbers that are kept until `now` or less; O(n) in their number.
    pub fn remove_expired(&self, now: Timestamp) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.numbers.retain(|_, number| now < number.until);
        let greatest = self.numbers.iter().map(|number| number.number).max().unwrap_or_default();
        self.greatest.store(greatest.as_millis(), Release);
    }
}

impl fmt::Debug for ClaimsChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimsChanges").field("numbers", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn ada() -> Scopes {
        Scopes::new(None, Some("acme"), "ada")
    }

    #[test]
    fn p37_a_number_reaches_the_tokens_of_its_scope_that_have_a_smaller_one() {
        for scope in ada().keys() {
            let changes = ClaimsChanges::new();
            assert_eq!(changes.number_of(&ada()), None);
            changes.raise(scope, at(1000), at(9000));
            for (claims_at, expected) in [
                (None, Some(1000)),
                (Some(999), Some(1000)),
                (Some(1000), None),
                (Some(1001), None),
            ] {
                let number = changes.number_after(claims_at.map(at), ada);
                assert_eq!(number, expected.map(at), "{claims_at:?}");
            }
        }
        let changes = ClaimsChanges::new();
        changes.raise(ada().user, at(1000), at(9000));
        let elsewhere = Scopes::new(None, Some("globex"), "ada");
        assert_eq!(changes.number_of(&elsewhere), None);
        changes.raise(ada().subject, at(2000), at(9000));
        assert_eq!(changes.number_of(&ada()), Some(at(2000)));
        assert_eq!(changes.number_of(&elsewhere), Some(at(2000)));
    }

    #[test]
    fn p37_a_number_never_falls_and_is_kept_until_its_end() {
        let changes = ClaimsChanges::new();
        changes.raise(ada().user, at(1000), at(9000));
        changes.raise(ada().user, at(500), at(100));
        changes.remove_expired(at(8999));
        assert_eq!(changes.number_of(&ada()), Some(at(1000)));
        changes.raise(ada().subject, at(800), at(9500));
        changes.remove_expired(at(9000));
        assert_eq!(changes.number_of(&ada()), Some(at(800)));
        assert_eq!(changes.greatest.load(Acquire), 800);
        changes.remove_expired(at(9500));
        assert_eq!((changes.number_of(&ada()), changes.greatest.load(Acquire)), (None, 0));
    }
}
