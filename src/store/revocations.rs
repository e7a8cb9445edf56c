//! What a node has heard of sessions that it may never have seen.

use std::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use dashmap::DashMap;

use crate::{
    identity::{Scopes, StoreKey},
    policy::TimeoutOverrides,
    time::Timestamp,
};

/// What a node has heard: marks, the sessions that a mark spares, and account policies.
///
/// A store owns one and keeps it up to date; the layers read it at every request. While there is
/// no mark, or none since the session began, that is one atomic load.
#[derive(Default)]
pub struct Revocations {
    /// The latest of all marks, in milliseconds; zero while there is none.
    latest: AtomicU64,
    marks: DashMap<StoreKey, Mark>,
    exempt_until: DashMap<StoreKey, Mark>,
    overrides: DashMap<StoreKey, TimeoutOverrides>,
    overridden: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Timestamp,
    until: Timestamp,
}

impl Revocations {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Revokes every session of `scope` whose epoch is `at` or earlier. After `until` no such
    /// session can be alive, and the mark is forgotten. A later mark holds.
    pub fn mark(&self, scope: StoreKey, at: Timestamp, until: Timestamp) {
        raise(&self.marks, scope, Mark { at, until });
        self.latest.fetch_max(at.as_millis(), Relaxed);
    }

    /// Spares `session` from marks up to `at`. Spare first and mark then, or it dies in between.
    pub fn spare(&self, session: StoreKey, at: Timestamp, until: Timestamp) {
        raise(&self.exempt_until, session, Mark { at, until });
    }

    /// Sets what an account's owner has decided.
    pub fn set_overrides(&self, account: StoreKey, overrides: TimeoutOverrides) {
        if overrides == TimeoutOverrides::default() {
            self.overrides.remove(&account);
        } else {
            self.overrides.insert(account, overrides);
        }
        self.overridden.store(self.overrides.len(), Relaxed);
    }

    /// The mark that stands over a scope.
    #[must_use]
    pub fn cutoff_of(&self, scope: &StoreKey) -> Option<Timestamp> {
        self.marks.get(scope).map(|mark| mark.at)
    }

    /// Up to which mark a session is exempt.
    #[must_use]
    pub fn exempt_until(&self, session: &StoreKey) -> Option<Timestamp> {
        self.exempt_until.get(session).map(|exempt_until| exempt_until.at)
    }

    /// Whether a mark has revoked the session: it is over one of its scopes, not earlier than its
    /// `epoch`, and later than what the session was exempt from.
    #[inline]
    pub fn is_revoked(
        &self,
        session: StoreKey,
        epoch: Timestamp,
        scopes: impl FnOnce() -> Scopes,
    ) -> bool {
        if epoch.as_millis() > self.latest.load(Relaxed) {
            return false;
        }
        let latest = scopes().keys().filter_map(|scope| self.cutoff_of(&scope)).max();
        latest.is_some_and(|mark| {
            epoch <= mark
                && self.exempt_until.get(&session).is_none_or(|exempt_until| exempt_until.at < mark)
        })
    }

    /// What the owner of `account` has decided; the key is computed only where anyone has.
    #[inline]
    pub fn overrides(
        &self,
        account: impl FnOnce() -> Option<StoreKey>,
    ) -> Option<TimeoutOverrides> {
        if self.overridden.load(Relaxed) == 0 {
            return None;
        }
        self.overrides.get(&account()?).map(|overrides| *overrides)
    }

    /// Forgets marks whose time is over; O(n) in the marks.
    pub fn remove_expired(&self, now: Timestamp) {
        self.marks.retain(|_, mark| now < mark.until);
        self.exempt_until.retain(|_, mark| now < mark.until);
    }
}

fn raise(marks: &DashMap<StoreKey, Mark>, key: StoreKey, mark: Mark) {
    let mut entry = marks.entry(key).or_insert(mark);
    if entry.at < mark.at {
        *entry = mark;
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("marks", &self.marks.len())
            .field("overrides", &self.overrides.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: fn() -> StoreKey = || StoreKey::session(None, "s");

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn ada() -> Scopes {
        Scopes::new(None, Some("acme"), "ada")
    }

    #[test]
    fn p29_a_mark_revokes_up_to_its_own_millisecond() {
        for scope in ada().keys() {
            let revocations = Revocations::new();
            revocations.mark(scope, at(1000), at(9000));
            assert!(revocations.is_revoked(SESSION(), at(999), ada));
            assert!(revocations.is_revoked(SESSION(), at(1000), ada));
            assert!(!revocations.is_revoked(SESSION(), at(1001), ada));
        }
    }

    #[test]
    fn a_mark_reaches_its_own_scope_alone() {
        let revocations = Revocations::new();
        revocations.mark(ada().user, at(1000), at(9000));
        let bob = || Scopes::new(None, Some("acme"), "bob");
        let elsewhere = || Scopes::new(None, Some("globex"), "ada");
        assert!(!revocations.is_revoked(SESSION(), at(1), bob));
        assert!(!revocations.is_revoked(SESSION(), at(1), elsewhere));
    }

    #[test]
    fn a_spared_session_outlives_that_mark_and_no_later_one() {
        let revocations = Revocations::new();
        revocations.spare(SESSION(), at(1000), at(9000));
        revocations.mark(ada().user, at(1000), at(9000));
        assert!(!revocations.is_revoked(SESSION(), at(1), ada));
        assert!(revocations.is_revoked(StoreKey::session(None, "other"), at(1), ada));
        revocations.mark(ada().everything, at(1001), at(9000));
        assert!(revocations.is_revoked(SESSION(), at(1), ada));
    }

    #[test]
    fn a_mark_does_not_move_backwards_and_leaves_in_time() {
        let revocations = Revocations::new();
        revocations.mark(ada().user, at(1000), at(9000));
        revocations.mark(ada().user, at(500), at(8000));
        assert_eq!(revocations.cutoff_of(&ada().user), Some(at(1000)));
        revocations.remove_expired(at(8999));
        assert!(revocations.cutoff_of(&ada().user).is_some());
        revocations.remove_expired(at(9000));
        assert!(revocations.cutoff_of(&ada().user).is_none());
    }
}
