//! What a node has heard of sessions that it may never have seen.

use std::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use dashmap::DashMap;

use super::{Key, Scopes};
use crate::rules::{Overrides, Timestamp};

/// What a node has heard: marks, the sessions that a mark spares, and account policies.
///
/// A store owns one and keeps it up to date; the layers read it at every request. While there is
/// no mark, or none since the session began, that is one atomic load.
#[derive(Default)]
pub struct Bulletin {
    /// The latest of all marks, in milliseconds; zero while there is none.
    latest: AtomicU64,
    marks: DashMap<Key, Mark>,
    spared: DashMap<Key, Mark>,
    overrides: DashMap<Key, Overrides>,
    overridden: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Mark {
    at: Timestamp,
    until: Timestamp,
}

impl Bulletin {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Revokes every session of `scope` whose epoch is `at` or earlier. After `until` no such
    /// session can be alive, and the mark is forgotten. A later mark holds.
    pub fn mark(&self, scope: Key, at: Timestamp, until: Timestamp) {
        raise(&self.marks, scope, Mark { at, until });
        self.latest.fetch_max(at.as_millis(), Relaxed);
    }

    /// Spares `session` from marks up to `at`. Spare first and mark then, or it dies in between.
    pub fn spare(&self, session: Key, at: Timestamp, until: Timestamp) {
        raise(&self.spared, session, Mark { at, until });
    }

    /// Sets what an account's owner has decided.
    pub fn set_overrides(&self, account: Key, overrides: Overrides) {
        if overrides == Overrides::default() {
            self.overrides.remove(&account);
        } else {
            self.overrides.insert(account, overrides);
        }
        self.overridden.store(self.overrides.len(), Relaxed);
    }

    /// The mark that stands over a scope.
    #[must_use]
    pub fn mark_of(&self, scope: &Key) -> Option<Timestamp> {
        self.marks.get(scope).map(|mark| mark.at)
    }

    /// Up to which mark a session was spared.
    #[must_use]
    pub fn spared_from(&self, session: &Key) -> Option<Timestamp> {
        self.spared.get(session).map(|spared| spared.at)
    }

    /// Whether a mark has revoked the session: it is over one of its scopes, not earlier than its
    /// `epoch`, and later than what the session was spared from.
    #[inline]
    pub fn is_revoked(
        &self,
        session: Key,
        epoch: Timestamp,
        scopes: impl FnOnce() -> Scopes,
    ) -> bool {
        if epoch.as_millis() > self.latest.load(Relaxed) {
            return false;
        }
        let latest = scopes().keys().filter_map(|scope| self.mark_of(&scope)).max();
        latest.is_some_and(|mark| {
            epoch <= mark && self.spared.get(&session).is_none_or(|spared| spared.at < mark)
        })
    }

    /// What the owner of `account` has decided; the key is computed only where anyone has.
    #[inline]
    pub fn overrides(&self, account: impl FnOnce() -> Option<Key>) -> Option<Overrides> {
        if self.overridden.load(Relaxed) == 0 {
            return None;
        }
        self.overrides.get(&account()?).map(|overrides| *overrides)
    }

    /// Forgets marks whose time is over; O(n) in the marks.
    pub fn forget_lapsed(&self, now: Timestamp) {
        self.marks.retain(|_, mark| now < mark.until);
        self.spared.retain(|_, mark| now < mark.until);
    }
}

fn raise(marks: &DashMap<Key, Mark>, key: Key, mark: Mark) {
    let mut entry = marks.entry(key).or_insert(mark);
    if entry.at < mark.at {
        *entry = mark;
    }
}

impl fmt::Debug for Bulletin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulletin")
            .field("marks", &self.marks.len())
            .field("overrides", &self.overrides.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: fn() -> Key = || Key::session(None, "s");

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn ada() -> Scopes {
        Scopes::of(None, Some("acme"), "ada")
    }

    #[test]
    fn p29_a_mark_revokes_up_to_its_own_millisecond() {
        for scope in ada().keys() {
            let bulletin = Bulletin::new();
            bulletin.mark(scope, at(1000), at(9000));
            assert!(bulletin.is_revoked(SESSION(), at(999), ada));
            assert!(bulletin.is_revoked(SESSION(), at(1000), ada));
            assert!(!bulletin.is_revoked(SESSION(), at(1001), ada));
        }
    }

    #[test]
    fn a_mark_reaches_its_own_scope_alone() {
        let bulletin = Bulletin::new();
        bulletin.mark(ada().user, at(1000), at(9000));
        let bob = || Scopes::of(None, Some("acme"), "bob");
        let elsewhere = || Scopes::of(None, Some("globex"), "ada");
        assert!(!bulletin.is_revoked(SESSION(), at(1), bob));
        assert!(!bulletin.is_revoked(SESSION(), at(1), elsewhere));
    }

    #[test]
    fn a_spared_session_outlives_that_mark_and_no_later_one() {
        let bulletin = Bulletin::new();
        bulletin.spare(SESSION(), at(1000), at(9000));
        bulletin.mark(ada().user, at(1000), at(9000));
        assert!(!bulletin.is_revoked(SESSION(), at(1), ada));
        assert!(bulletin.is_revoked(Key::session(None, "other"), at(1), ada));
        bulletin.mark(ada().everything, at(1001), at(9000));
        assert!(bulletin.is_revoked(SESSION(), at(1), ada));
    }

    #[test]
    fn a_mark_does_not_move_backwards_and_leaves_in_time() {
        let bulletin = Bulletin::new();
        bulletin.mark(ada().user, at(1000), at(9000));
        bulletin.mark(ada().user, at(500), at(8000));
        assert_eq!(bulletin.mark_of(&ada().user), Some(at(1000)));
        bulletin.forget_lapsed(at(8999));
        assert!(bulletin.mark_of(&ada().user).is_some());
        bulletin.forget_lapsed(at(9000));
        assert!(bulletin.mark_of(&ada().user).is_none());
    }
}
