//! What every session store does: it checks and records activity, and keeps tombstones.

use std::{sync::Arc, time::Duration};

use super::{AccountPolicies, ClaimsChanges, Revocations, Tombstone};
use crate::{identity::SessionKeys, maybe_ready::MaybeReady, time::Timestamp};

/// Remembers when each session was last active, and which sessions have a tombstone.
///
/// A store owns atomicity: [`touch`](Self::touch) is one step, whatever runs concurrently. All
/// instants come from the caller; a store reads no clock for its answers.
pub trait SessionStore: Send + Sync + 'static {
    /// Checks a session and records an activity if it is active; one atomic step.
    ///
    /// The last activity is the later of the stored one and [`Touch::token_activity`], of an unknown
    /// session [`Touch::unknown_activity`]. A session with a tombstone is [`TouchOutcome::Ended`]; a session whose last activity plus
    /// [`Touch::idle`] is at or before [`Touch::now`] is [`TouchOutcome::Idle`]. Neither is ever
    /// active again. An unknown session begins its entry, unless [`Touch::known_only`] forbids it.
    /// The last activity never moves backwards.
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome>;

    /// Returns what the store knows of a session; records nothing.
    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession>;

    /// Writes a tombstone that is kept until [`Tombstone::until`], whether or not an entry exists.
    /// Idempotent: the later `until` counts. A tombstone is never evicted, and displaces no active
    /// session: fails if there is no room. Returns whether the session had none.
    ///
    /// No user may take the room of others. A store with [`revocations`](Self::revocations) folds the
    /// tombstones of a user into [`FoldedTombstones`](super::FoldedTombstones) when there are more than
    /// 64 of sessions that began in it; it revokes no other session. Of other sessions it may refuse to
    /// keep more of one user than a bound.
    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool>;

    /// Whether the store keeps every session until its end, whatever is restarted and however many
    /// there are. Only then an unknown session can be rejected
    /// ([`UnknownSessions::Reject`](crate::layers::UnknownSessions)). Default: false.
    fn is_durable(&self) -> bool {
        false
    }

    /// Completes once every activity is written that the store has recorded; for a shutdown. The
    /// default is for stores that write at once.
    fn flush(&self) -> MaybeReady<()> {
        MaybeReady::ready(Ok(()))
    }

    /// How long an activity on another node may be unknown to this one, of a session with the idle
    /// timeout `idle`: a stream that is open at its idle deadline waits for that long before it asks
    /// the store, at most 750 ms if it is to end within a second. Default: zero, for stores that write
    /// each activity at once.
    fn activity_delay(&self, idle: Duration) -> Duration {
        let _ = idle;
        Duration::ZERO
    }

    /// Returns the bulk revocations that this node knows, if the store supports them. A layer
    /// calls this once, when it is made, and reads the value at every request. Without them, each open
    /// stream asks the store every second.
    fn revocations(&self) -> Option<Arc<Revocations>> {
        None
    }

    /// Returns the account policies that this node knows, if the store supports them. A layer
    /// calls this once, when it is made, and reads the value at every request.
    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        None
    }

    /// Returns the changes of claims that this node knows, if the store supports them. A layer calls
    /// this once, when it is made, and reads the value at every request.
    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        None
    }

    /// Describes the store in words, for an operator: which database it is, and how this node reads the
    /// changes of other nodes. The wording may change with any version.
    fn describe(&self) -> Option<String> {
        None
    }

    /// Sets how far the clocks of the nodes may be apart: the largest `max_clock_skew` of the
    /// policies. A layer calls this once, when it is made. A store that several nodes share fails
    /// on a node whose clock is further from its own.
    fn set_max_clock_skew(&self, skew: Duration) {
        let _ = skew;
    }

    /// Returns `now`, a reading of this node's clock; or the store's time instead, if the store has
    /// found that clock to be further from its own than the skew. A layer remembers by it the
    /// requests that a failing store could not record.
    fn correct_time(&self, now: Timestamp) -> Timestamp {
        now
    }

    /// Returns the last time in which this node could not read the store in time for a request. The other nodes may not have
    /// written yet what they have seen of activity in it, so for ten seconds afterwards no session is
    /// rejected as idle that was active when it began. Default: `None`, for a store whose activity is on one
    /// node.
    fn last_outage(&self) -> Option<StoreOutage> {
        None
    }
}

/// How long after an outage, or after an attempt, other nodes may take to write the activity and the
/// attempts that they know of. They write both every half second; the rest is for a node that has more to
/// do than it can.
pub(crate) const SETTLING: Duration = Duration::from_secs(10);

/// A time in which a node could not read its store in time for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOutage {
    /// When it had read the store last.
    pub from: Timestamp,
    /// When it read it again; now, if it has not yet.
    pub until: Timestamp,
}

impl StoreOutage {
    /// Creates an outage between two readings.
    #[must_use]
    pub const fn new(from: Timestamp, until: Timestamp) -> Self {
        Self { from, until }
    }
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> SessionStore for Arc<T>
where
    T: SessionStore + ?Sized,
{
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        (**self).touch(keys, touch)
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        (**self).get(keys)
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        (**self).write_tombstone(tombstone)
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }

    fn flush(&self) -> MaybeReady<()> {
        (**self).flush()
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        (**self).revocations()
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        (**self).account_policies()
    }

    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        (**self).claims_changes()
    }

    fn activity_delay(&self, idle: Duration) -> Duration {
        (**self).activity_delay(idle)
    }

    fn describe(&self) -> Option<String> {
        (**self).describe()
    }

    fn set_max_clock_skew(&self, skew: Duration) {
        (**self).set_max_clock_skew(skew);
    }

    fn correct_time(&self, now: Timestamp) -> Timestamp {
        (**self).correct_time(now)
    }

    fn last_outage(&self) -> Option<StoreOutage> {
        (**self).last_outage()
    }
}

/// An activity to check and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Touch {
    /// When the activity happens.
    pub now: Timestamp,
    /// The last activity that the token itself proves.
    pub token_activity: Timestamp,
    /// The last activity to assume if the store does not know the session.
    pub unknown_activity: Timestamp,
    /// The session's idle timeout.
    pub idle: Duration,
    /// How long the store keeps the entry after its last activity, unless it is full: at least until
    /// the newest token of the session has expired, so that an unknown session is a lost one.
    pub kept_for: Duration,
    /// The generation of the access token: a store that keeps records of refreshes remembers the
    /// latest. Default: 0.
    pub generation: u32,
    /// Whether an unknown session stays unknown ([`TouchOutcome::Unknown`]).
    pub known_only: bool,
}

impl Touch {
    /// Creates an activity at `now` that may begin the entry of an unknown session.
    #[must_use]
    pub const fn new(now: Timestamp, token_activity: Timestamp, idle: Duration) -> Self {
        Self {
            now,
            token_activity,
            unknown_activity: token_activity,
            idle,
            kept_for: idle,
            generation: 0,
            known_only: false,
        }
    }

    /// Keeps the entry for longer than the idle timeout.
    #[must_use]
    pub fn kept_for(mut self, kept_for: Duration) -> Self {
        self.kept_for = self.idle.max(kept_for);
        self
    }

    /// Leaves an unknown session unknown.
    #[must_use]
    pub const fn known_only(mut self) -> Self {
        self.known_only = true;
        self
    }
}

/// The answer to a [`Touch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TouchOutcome {
    /// The session is active and the activity is recorded; with the last activity stored before,
    /// if the store knew the session.
    Active(Option<Timestamp>),
    /// The idle timeout has passed; with the last activity.
    Idle(Timestamp),
    /// The store does not know the session and may not begin its entry; nothing is recorded.
    Unknown,
    /// The session has a tombstone.
    Ended,
}

/// What a store knows of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoredSession {
    /// Nothing.
    Unknown,
    /// The last activity.
    Active(Timestamp),
    /// The last activity that is left: the store has lost what it knew from then until `lost_until`. The
    /// session is active if it may have been active meanwhile, as far as its token tells.
    ActivityLost {
        /// The last activity that the store knows.
        last_seen: Timestamp,
        /// What came after this instant is not lost.
        lost_until: Timestamp,
    },
    /// The session has a tombstone.
    Ended,
}
