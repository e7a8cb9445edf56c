//! The bulk revocations that this node knows: a cutoff per scope, the tombstones of each user that were
//! folded into one, and the sessions exempt from either.

mod folded_tombstones;
#[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
mod held;
mod open_sessions;

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use dashmap::DashMap;
use foldhash::fast::RandomState;

pub use self::folded_tombstones::FoldedTombstones;
use self::open_sessions::OpenSessions;
pub(crate) use self::open_sessions::{OpenSession, OpenStream, Renewed};
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

/// The revocation cutoffs, folded tombstones and exempt sessions, as far as this node has read them;
/// and the streams that are open on this node.
///
/// A store owns one and keeps it up to date; the layers read it at every request. While there is
/// no cutoff, or none since the session began, that is one atomic load.
///
/// An open stream asks the store again at the deadlines of its session, and whenever the store says so
/// here: [`recheck_session`](Self::recheck_session) after each tombstone,
/// [`recheck_account`](Self::recheck_account) after each change of an account's timeouts,
/// [`recheck_all`](Self::recheck_all) where changes may have been missed. A new cutoff says so itself.
#[derive(Default)]
pub struct Revocations {
    /// The latest epoch that any cutoff or folded tombstone reaches, in milliseconds; zero while there
    /// is none.
    latest: AtomicU64,
    /// The latest instant that any session is exempt until, in milliseconds; zero while none is.
    latest_exempt: AtomicU64,
    cutoffs: Cutoffs,
    folded: DashMap<StoreKey, FoldedTombstones, RandomState>,
    exempt: Cutoffs,
    open_sessions: OpenSessions,
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
    /// the scope has a later cutoff. Tells their open streams: hold no lock that a waker may need.
    pub fn add_cutoff(&self, scope: StoreKey, cutoff: RevocationCutoff) {
        self.insert_cutoff(scope, cutoff);
        self.recheck_scope(&scope, cutoff.at);
    }

    /// As [`add_cutoff`](Self::add_cutoff), without a word to open streams.
    pub(super) fn insert_cutoff(&self, scope: StoreKey, cutoff: RevocationCutoff) {
        raise(&self.cutoffs, scope, cutoff);
        self.latest.fetch_max(cutoff.at.as_millis(), Relaxed);
    }

    /// Revokes the sessions whose tombstones were folded; extends what was folded of `user` before.
    pub fn add_folded(&self, user: StoreKey, folded: FoldedTombstones) {
        let mut entry = self.folded.entry(user).or_insert(folded);
        *entry = match *entry {
            before if before.has_expired_by(folded.at) => folded,
            before if folded.has_expired_by(before.at) => before,
            before => before.merge(folded),
        };
        drop(entry);
        self.latest.fetch_max(folded.last.as_millis(), Relaxed);
    }

    /// Exempts `session` from cutoffs at or before `at`; the exemption is removed at `until`. Call
    /// it before [`add_cutoff`](Self::add_cutoff) and [`add_folded`](Self::add_folded), or the session
    /// is revoked in between.
    pub fn exempt(&self, session: StoreKey, at: Timestamp, until: Timestamp) {
        raise(&self.exempt, session, RevocationCutoff { at, until });
        self.latest_exempt.fetch_max(at.as_millis(), Relaxed);
    }

    /// Removes the exemption of a session that has ended, so that there are no more of them than active
    /// sessions.
    pub(super) fn remove_exemption(&self, session: &StoreKey) {
        self.exempt.remove(session);
    }

    /// Returns the latest cutoff that any session is exempt from: one that is to revoke every session
    /// must be later.
    pub(super) fn latest_exemption(&self) -> Option<Timestamp> {
        let latest = self.latest_exempt.load(Relaxed);
        (latest > 0).then(|| Timestamp::from_millis(latest))
    }

    /// Returns the latest epoch that any cutoff or folded tombstone reaches: a session that begins later
    /// may be a millisecond later.
    #[cfg(any(feature = "redis", feature = "sqlite", feature = "postgres"))]
    #[cfg(feature = "redis")]
    pub(super) fn latest_reached(&self) -> Option<Timestamp> {
        let latest = self.latest.load(Relaxed);
        (latest > 0).then(|| Timestamp::from_millis(latest))
    }

    /// Returns the cutoff of a scope.
    #[must_use]
    pub fn cutoff_of(&self, scope: &StoreKey) -> Option<Timestamp> {
        self.cutoffs.get(scope).map(|cutoff| cutoff.at)
    }

    /// Returns the cutoff of each scope that has one.
    pub(super) fn all_cutoffs(&self) -> Vec<(StoreKey, RevocationCutoff)> {
        self.cutoffs.iter().map(|cutoff| (*cutoff.key(), *cutoff.value())).collect()
    }

    /// Returns the folded tombstones of a user.
    #[must_use]
    pub fn folded_of(&self, user: &StoreKey) -> Option<FoldedTombstones> {
        self.folded.get(user).map(|folded| *folded)
    }

    /// Returns the folded tombstones of `user` if the session of `epoch` is one of those.
    pub(super) fn folded_with(
        &self,
        session: &StoreKey,
        epoch: Timestamp,
        user: &StoreKey,
    ) -> Option<FoldedTombstones> {
        self.folded_of(user).filter(|folded| {
            (folded.first..=folded.last).contains(&epoch)
                && self.exempt_until(session).is_none_or(|until| until < folded.at)
        })
    }

    /// Returns the latest cutoff that `session` is exempt from.
    #[must_use]
    pub fn exempt_until(&self, session: &StoreKey) -> Option<Timestamp> {
        self.exempt.get(session).map(|exempt| exempt.at)
    }

    /// Returns the narrowest scope whose cutoff has revoked the session: a cutoff at or after
    /// `epoch` that the session is not exempt from; [`CutoffScope::Session`] if its tombstone was folded.
    #[inline]
    #[must_use]
    pub fn revoked_by(
        &self,
        session: StoreKey,
        epoch: Timestamp,
        scopes: impl FnOnce() -> Scopes,
    ) -> Option<CutoffScope> {
        if !self.has_since(epoch) {
            return None;
        }
        let scopes = scopes();
        match self.folded_with(&session, epoch, &scopes.user) {
            Some(_) => Some(CutoffScope::Session),
            None => self.find_cutoff(session, epoch, scopes),
        }
    }

    /// Whether any cutoff or folded tombstone is as late as `epoch`: one atomic load.
    #[inline(always)]
    pub(crate) fn has_since(&self, epoch: Timestamp) -> bool {
        epoch.as_millis() <= self.latest.load(Relaxed)
    }

    /// As [`revoked_by`](Self::revoked_by), but for folded tombstones: those are of sessions that a
    /// store began, whose tokens have an `epoch`.
    pub(crate) fn find_cutoff(
        &self,
        session: StoreKey,
        epoch: Timestamp,
        scopes: Scopes,
    ) -> Option<CutoffScope> {
        let revokes = |at: Timestamp| {
            epoch <= at && self.exempt_until(&session).is_none_or(|until| until < at)
        };
        let all = (CutoffScope::Issuer, StoreKey::EVERY_SESSION);
        let mut scopes = scopes.cutoff_keys().chain([all]);
        scopes.find(|(_, scope)| self.cutoff_of(scope).is_some_and(revokes)).map(|(kind, _)| kind)
    }

    /// Removes cutoffs, folded tombstones and exemptions that are kept until `now` or less; O(n) in
    /// their number.
    pub fn remove_expired(&self, now: Timestamp) {
        self.folded.retain(|_, folded| now < folded.until);
        self.cutoffs.retain(|_, cutoff| now < cutoff.until);
        self.exempt.retain(|_, exempt| now < exempt.until);
    }
}

fn raise(cutoffs: &Cutoffs, key: StoreKey, cutoff: RevocationCutoff) {
    let mut entry = cutoffs.entry(key).or_insert(cutoff);
    entry.at = entry.at.max(cutoff.at);
    // An exemption from an earlier cutoff is needed as long as that cutoff is kept.
    entry.until = entry.until.max(cutoff.until);
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("cutoffs", &self.cutoffs.len())
            .field("folded", &self.folded.len())
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

    #[test]
    fn p33_an_exemption_lasts_as_long_as_the_earliest_cutoff_that_it_is_from() {
        let revocations = Revocations::new();
        revocations.exempt(SESSION(), at(1000), at(9000));
        revocations.add_cutoff(ada().user, cutoff(1000));
        revocations.exempt(SESSION(), at(2000), at(3000));
        revocations.remove_expired(at(8999));
        assert_eq!(revocations.revoked_by(SESSION(), at(1), ada), None);
    }

    fn folded(first: u64, last: u64, instant: u64) -> FoldedTombstones {
        FoldedTombstones::new(at(first), at(last), at(instant), at(9000))
    }

    #[test]
    fn p31_folded_tombstones_reach_the_epochs_from_the_first_to_the_last() {
        let revocations = Revocations::new();
        revocations.add_folded(ada().user, folded(1000, 1002, 5000));
        let revoked_by = |epoch| revocations.revoked_by(SESSION(), at(epoch), ada);
        for (epoch, expected) in [(999, false), (1000, true), (1002, true), (1003, false)] {
            assert_eq!(revoked_by(epoch), expected.then_some(CutoffScope::Session), "{epoch}");
            assert_eq!(revocations.find_cutoff(SESSION(), at(epoch), ada()), None);
        }
        let elsewhere = || Scopes::new(None, Some("globex"), "ada");
        assert_eq!(revocations.revoked_by(SESSION(), at(1001), elsewhere), None);
        revocations.add_folded(ada().user, folded(2000, 2001, 5001));
        revocations.add_folded(ada().user, folded(1000, 1002, 5000));
        assert_eq!(revocations.folded_of(&ada().user), Some(folded(1000, 2001, 5001)));
        assert_eq!(revoked_by(2001), Some(CutoffScope::Session));
        revocations.remove_expired(at(8999));
        assert_eq!(revoked_by(1500), Some(CutoffScope::Session));
        revocations.remove_expired(at(9000));
        assert_eq!(revoked_by(1500), None);
    }

    #[test]
    fn p33_nothing_is_folded_between_an_expired_fold_and_the_next_one() {
        let late = FoldedTombstones::new(at(130_000), at(131_000), at(129_000), at(200_000));
        for (earlier, is_left) in [(folded(1000, 2000, 5000), false), (late, true)] {
            let next = FoldedTombstones::new(at(140_000), at(141_000), at(150_000), at(300_000));
            for changes in [[earlier, next], [next, earlier]] {
                let revocations = Revocations::new();
                for folded in changes {
                    revocations.add_folded(ada().user, folded);
                }
                let whole = if is_left { earlier.merge(next) } else { next };
                assert_eq!(revocations.folded_of(&ada().user), Some(whole));
            }
        }
    }

    #[test]
    fn p31_an_exempt_session_is_not_folded_until_it_ends() {
        let revocations = Revocations::new();
        revocations.exempt(SESSION(), at(5000), at(9000));
        revocations.add_folded(ada().user, folded(1000, 2000, 5000));
        assert_eq!(revocations.revoked_by(SESSION(), at(1500), ada), None);
        let other = StoreKey::session(None, "other");
        assert_eq!(revocations.revoked_by(other, at(1500), ada), Some(CutoffScope::Session));
        revocations.add_folded(ada().user, folded(1500, 1500, 5001));
        let revoked_by = revocations.revoked_by(SESSION(), at(1500), ada);
        assert_eq!(revoked_by, Some(CutoffScope::Session));
    }
}
