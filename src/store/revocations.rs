//! The bulk revocations that this node knows: a cutoff per scope, and the sessions exempt from it.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::{
    identity::{CutoffScope, Scopes, StoreKey},
    time::Timestamp,
};

/// Revokes every session of a scope whose epoch is at or before an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationCutoff {
    /// Sessions with an epoch at or before this instant are revoked.
    pub at: Timestamp,
    /// The cutoff is removed at this instant: no session that it revokes can be active then.
    pub until: Timestamp,
}

impl RevocationCutoff {
    /// Creates a cutoff at `at` that is kept until `until`.
    #[must_use]
    pub const fn new(at: Timestamp, until: Timestamp) -> Self {
        Self { at, until }
    }
}

/// The revocation cutoffs and exempt sessions, as far as this node has read them.
///
/// A store owns one and keeps it up to date; the layers read it at every request. While there is
/// no cutoff, or none since the session began, that is one atomic load.
#[derive(Default)]
pub struct Revocations {
    /// The latest of all cutoffs, in milliseconds; zero while there is none.
    latest: AtomicU64,
    /// The latest instant that any session is exempt until, in milliseconds; zero while none is.
    latest_exempt: AtomicU64,
    cutoffs: Cutoffs,
    exempt: Cutoffs,
}

/// Keys are digests, so a fast hash serves: a token is looked up in each of its scopes.
type Cutoffs = DashMap<StoreKey, RevocationCutoff, RandomState>;

impl Revocations {
    /// Creates an empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Revokes every session of `scope` whose epoch is at or before the cutoff. Does nothing if
    /// the scope has a later cutoff.
    pub fn add_cutoff(&self, scope: StoreKey, cutoff: RevocationCutoff) {
        raise(&self.cutoffs, scope, cutoff);
        self.latest.fetch_max(cutoff.at.as_millis(), Relaxed);
    }

    /// Exempts `session` from cutoffs at or before `at`; the exemption is removed at `until`. Call
    /// it before [`add_cutoff`](Self::add_cutoff), or the session is revoked in between.
    pub fn exempt(&self, session: StoreKey, at: Timestamp, until: Timestamp) {
        raise(&self.exempt, session, RevocationCutoff { at, until });
        self.latest_exempt.fetch_max(at.as_millis(), Relaxed);
    }

    /// Returns the latest cutoff that any session is exempt from: one that is to revoke every session
    /// must be later.
    pub(super) fn latest_exemption(&self) -> Option<Timestamp> {
        let latest = self.latest_exempt.load(Relaxed);
        (latest > 0).then(|| Timestamp::from_millis(latest))
    }

    /// Returns the cutoff of a scope.
    #[must_use]
    pub fn cutoff_of(&self, scope: &StoreKey) -> Option<Timestamp> {
        self.cutoffs.get(scope).map(|cutoff| cutoff.at)
    }

    /// Returns the latest cutoff that `session` is exempt from.
    #[must_use]
    pub fn exempt_until(&self, session: &StoreKey) -> Option<Timestamp> {
        self.exempt.get(session).map(|exempt| exempt.at)
    }

    /// Returns the narrowest scope whose cutoff has revoked the session: a cutoff at or after
    /// `epoch` that the session is not exempt from.
    #[inline]
    #[must_use]
    pub fn revoked_by(
        &self,
        session: StoreKey,
        epoch: Timestamp,
        scopes: impl FnOnce() -> Scopes,
    ) -> Option<CutoffScope> {
        if epoch.as_millis() > self.latest.load(Relaxed) {
            return None;
        }
        self.find_cutoff(session, epoch, scopes())
    }

    fn find_cutoff(
        &self,
        session: StoreKey,
        epoch: Timestamp,
        scopes: Scopes,
    ) -> Option<CutoffScope> {
        let revokes = |at: Timestamp| {
            epoch <= at && self.exempt_until(&session).is_none_or(|until| until < at)
        };
        let mut scopes = scopes.cutoff_keys();
        scopes.find(|(_, scope)| self.cutoff_of(scope).is_some_and(revokes)).map(|(kind, _)| kind)
    }

    /// Removes cutoffs and exemptions that are kept until `now` or less; O(n) in their number.
    pub fn remove_expired(&self, now: Timestamp) {
        self.cutoffs.retain(|_, cutoff| now < cutoff.until);
        self.exempt.retain(|_, exempt| now < exempt.until);
    }
}

fn raise(cutoffs: &Cutoffs, key: StoreKey, cutoff: RevocationCutoff) {
    let mut entry = cutoffs.entry(key).or_insert(cutoff);
    if entry.at < cutoff.at {
        *entry = cutoff;
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("cutoffs", &self.cutoffs.len())
            .field("exempt", &self.exempt.len())
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

    fn cutoff(millis: u64) -> RevocationCutoff {
        RevocationCutoff::new(at(millis), at(9000))
    }

    fn ada() -> Scopes {
        Scopes::new(None, Some("acme"), "ada")
    }

    #[test]
    fn p29_a_cutoff_revokes_epochs_up_to_its_own_millisecond() {
        for (kind, scope) in ada().cutoff_keys() {
            let revocations = Revocations::new();
            revocations.add_cutoff(scope, cutoff(1000));
            assert_eq!(revocations.revoked_by(SESSION(), at(999), ada), Some(kind));
            assert_eq!(revocations.revoked_by(SESSION(), at(1000), ada), Some(kind));
            assert_eq!(revocations.revoked_by(SESSION(), at(1001), ada), None);
        }
    }

    #[test]
    fn a_cutoff_revokes_nothing_outside_its_scope() {
        let revocations = Revocations::new();
        revocations.add_cutoff(ada().user, cutoff(1000));
        let bob = || Scopes::new(None, Some("acme"), "bob");
        let elsewhere = || Scopes::new(None, Some("globex"), "ada");
        assert_eq!(revocations.revoked_by(SESSION(), at(1), bob), None);
        assert_eq!(revocations.revoked_by(SESSION(), at(1), elsewhere), None);
        revocations.add_cutoff(ada().subject, cutoff(2000));
        assert_eq!(revocations.revoked_by(SESSION(), at(1), bob), None);
        let foreign = || Scopes::new(Some("https://other"), Some("acme"), "ada");
        assert_eq!(revocations.revoked_by(SESSION(), at(1), foreign), None);
        let subject = Some(CutoffScope::Subject);
        assert_eq!(revocations.revoked_by(SESSION(), at(1), elsewhere), subject);
    }

    #[test]
    fn the_narrowest_cutoff_that_revokes_is_named() {
        let revocations = Revocations::new();
        let revoked_by = |epoch| revocations.revoked_by(SESSION(), at(epoch), ada);
        revocations.add_cutoff(ada().everything, cutoff(3000));
        assert_eq!(revoked_by(1), Some(CutoffScope::Issuer));
        revocations.add_cutoff(ada().account.expect("ada has an account"), cutoff(2000));
        assert_eq!(revoked_by(1), Some(CutoffScope::Account));
        revocations.add_cutoff(ada().subject, cutoff(1500));
        revocations.add_cutoff(ada().user, cutoff(1000));
        assert_eq!(revoked_by(1000), Some(CutoffScope::User));
        assert_eq!(revoked_by(1001), Some(CutoffScope::Subject));
        assert_eq!(revoked_by(1501), Some(CutoffScope::Account));
        assert_eq!(revoked_by(2001), Some(CutoffScope::Issuer));
        revocations.exempt(SESSION(), at(2000), at(9000));
        assert_eq!(revoked_by(1), Some(CutoffScope::Issuer));
    }

    #[test]
    fn a_session_is_exempt_from_that_cutoff_and_from_no_later_one() {
        let revocations = Revocations::new();
        revocations.exempt(SESSION(), at(1000), at(9000));
        revocations.add_cutoff(ada().user, cutoff(1000));
        assert_eq!(revocations.revoked_by(SESSION(), at(1), ada), None);
        let other = StoreKey::session(None, "other");
        assert_eq!(revocations.revoked_by(other, at(1), ada), Some(CutoffScope::User));
        revocations.add_cutoff(ada().everything, cutoff(1001));
        assert_eq!(revocations.revoked_by(SESSION(), at(1), ada), Some(CutoffScope::Issuer));
    }

    #[test]
    fn a_cutoff_never_moves_backwards_and_is_removed_in_time() {
        let revocations = Revocations::new();
        revocations.add_cutoff(ada().user, cutoff(1000));
        revocations.add_cutoff(ada().user, RevocationCutoff::new(at(500), at(8000)));
        assert_eq!(revocations.cutoff_of(&ada().user), Some(at(1000)));
        revocations.remove_expired(at(8999));
        assert!(revocations.cutoff_of(&ada().user).is_some());
        revocations.remove_expired(at(9000));
        assert!(revocations.cutoff_of(&ada().user).is_none());
    }
}
