//! The memory store as a session store.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use super::lifecycle_state::LifecycleState;
use crate::{
    identity::{SessionKeys, StoreKey},
    maybe_ready::MaybeReady,
    metrics,
    store::{
        AccountPolicies, ClaimsChanges, Revocations, SessionRecord, SessionStore, StoredSession,
        Tombstone, Touch, TouchOutcome,
        entry::{SessionWord, is_idle},
        table::{NEARBY, Table},
    },
    time::Timestamp,
};

/// Remembers sessions in the memory of this process. The default store.
///
/// It has a bounded number of entries and allocates as they come: 40 to 75 bytes each, at most 150
/// after many have come and gone. It never returns memory. Entries are removed once the newest token
/// of their session has expired, in small steps as new sessions begin; there is no background task.
/// When it is full, the sessions with the oldest activity are evicted; an evicted session is
/// judged by its token alone.
///
/// Tombstones have room of their own, for as many sessions, in 150 to 300 bytes each. None is evicted.
/// Each that is written removes a few that have expired. Of one user there are at most 64, of sessions
/// that began here: the next folds them into one. It does not while an evicted record may be that of
/// an active session; then, and of other sessions, a user has at most a sixteenth of the room, 64 to
/// 1,024. Without room, ending a session fails at once, and the session goes on.
///
/// **A restart forgets everything**, and processes share nothing. Sessions are then judged by
/// their tokens until their next activity, and the tokens of a revoked session are accepted again
/// until they expire, a refresh token at the absolute deadline. Use a durable store where that matters.
///
/// It is a [`LifecycleStore`](crate::store::LifecycleStore) too. Behind one lock, which no touch
/// takes, it keeps as many session records as entries (700 bytes each), and two logs: at least the
/// latest 10,000 audit records, as many of refusals and renewals, and as many activity entries, at
/// most 90 days old. A full log loses the oldest rows of the account, and in it of the user, with
/// the most. When the records are full, a sign-in evicts the user's own earliest record, or else the
/// one that expires first: such a session is no longer listed; it is refreshed and ended as before.
/// Revocation cutoffs are kept until they expire.
///
/// Every answer is ready. A touch of a known session takes a shared lock and one atomic step.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::{
///     Timestamp,
///     identity::{SessionKeys, StoreKey},
///     store::{MemoryStore, SessionStore, Tombstone, Touch, TouchOutcome},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_sliding_session::store::StoreError> {
/// let store = MemoryStore::new();
/// let (session, user) = (StoreKey::session(None, "a-session"), StoreKey::user(None, None, "ada"));
/// let keys = SessionKeys::new(session, user);
/// let now = Timestamp::from_secs(1_800_000_000);
/// let idle = Duration::from_secs(1200);
/// let touch = Touch::new(now, now, idle);
/// assert_eq!(store.touch(keys, touch).await?, TouchOutcome::Active(None));
///
/// let end = Tombstone::new(session, now, now + Duration::from_secs(3600));
/// assert!(store.write_tombstone(end).await?, "it had none");
/// assert_eq!(store.touch(keys, touch).await?, TouchOutcome::Ended);
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    pub(super) table: Table<Entry>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) account_policies: Arc<AccountPolicies>,
    pub(super) claims_changes: Arc<ClaimsChanges>,
    /// Boxed, so that requests share no cache line with it.
    pub(super) lifecycle_state: Box<Mutex<LifecycleState>>,
}

impl MemoryStore {
    /// The default capacity: 1,048,576 sessions, in at most 160 MB, and as many tombstones.
    pub const DEFAULT_CAPACITY: usize = 1 << 20;

    /// Creates a store of [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// Creates a store for at most `max_sessions`, and as many tombstones. Allocates little until
    /// sessions begin.
    #[must_use]
    pub fn with_capacity(max_sessions: usize) -> Self {
        Self {
            table: Table::new(max_sessions),
            revocations: Arc::default(),
            account_policies: Arc::default(),
            claims_changes: Arc::default(),
            lifecycle_state: Box::new(Mutex::new(LifecycleState::new(max_sessions))),
        }
    }

    /// Returns the number of sessions, tombstones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len() + self.lifecycle_state().tombstones.len()
    }

    /// Returns whether there are no sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn touch_now(&self, session: StoreKey, touch: Touch) -> TouchOutcome {
        if let Some(touched) = self.table.get(&session, |entry| entry.touch(touch)) {
            return touched;
        }
        if touch.known_only {
            return TouchOutcome::Unknown;
        }
        if is_idle(touch.unknown_activity, touch) {
            return TouchOutcome::Idle(touch.unknown_activity);
        }
        let expired = |entry: &Entry| entry.is_expired(touch.now);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, Entry::last_seen));
        let Some(room) = room else { return TouchOutcome::Active(None) };
        // Another thread may have inserted the entry meanwhile, perhaps as a tombstone.
        let touched =
            self.table.insert(room, session, Entry::active(touch), |entry| entry.touch(touch));
        metrics::set_live_sessions(self.table.len());
        touched.unwrap_or(TouchOutcome::Active(None))
    }

    /// Records an activity at `now`. A tombstone stays a tombstone.
    pub(super) fn record_activity(&self, record: &SessionRecord, now: Timestamp) {
        // Its refresh token is good until then.
        let kept_for = record.ends_at.since(now);
        self.touch_now(record.key, Touch::new(now, now, record.idle).kept_for(kept_for));
    }

    pub(super) fn get_now(&self, session: &StoreKey) -> StoredSession {
        let stored = self.table.get(session, |entry| match entry.last_seen() {
            Some(millis) => StoredSession::Active(Timestamp::from_millis(millis)),
            None => StoredSession::Ended,
        });
        stored.unwrap_or(StoredSession::Unknown)
    }

    /// The latest generation of which an access token was presented.
    pub(super) fn presented_generation(&self, session: &StoreKey) -> u32 {
        self.table.get(session, |entry| entry.presented.load(Relaxed)).unwrap_or_default()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .field("capacity", &self.table.capacity())
            .finish_non_exhaustive()
    }
}

impl SessionStore for MemoryStore {
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        MaybeReady::ready(Ok(self.touch_now(keys.session, touch)))
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        MaybeReady::ready(Ok(self.get_now(&keys.session)))
    }

    /// # Errors
    /// If the store is full of tombstones, or has as many of the user as it keeps.
    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        let written = self.end(&mut self.lifecycle_state(), tombstone);
        self.revocations.recheck_session(&tombstone.session);
        MaybeReady::ready(written)
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        Some(Arc::clone(&self.revocations))
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        Some(Arc::clone(&self.account_policies))
    }

    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        Some(Arc::clone(&self.claims_changes))
    }
}

/// What the store remembers of one session.
pub(super) struct Entry {
    word: SessionWord,
    /// The longest [`Touch::kept_for`], in seconds, rounded up.
    kept_for: AtomicU32,
    /// The latest generation of which an access token was presented.
    presented: AtomicU32,
}

impl Entry {
    fn active(touch: Touch) -> Self {
        Self {
            word: SessionWord::active(touch.now),
            kept_for: AtomicU32::new(whole_secs(touch.kept_for)),
            presented: AtomicU32::new(touch.generation),
        }
    }

    pub(super) fn tombstone(until: Timestamp) -> Self {
        Self {
            word: SessionWord::tombstone(until),
            kept_for: AtomicU32::new(0),
            presented: AtomicU32::new(0),
        }
    }

    fn touch(&self, touch: Touch) -> TouchOutcome {
        let outcome = self.word.touch(touch);
        if let TouchOutcome::Active(_) = outcome {
            raise(&self.kept_for, whole_secs(touch.kept_for));
            raise(&self.presented, touch.generation);
        }
        outcome
    }

    pub(super) fn end(&self, until: Timestamp) {
        self.word.end(until);
    }

    pub(super) fn last_seen(&self) -> Option<u64> {
        self.word.last_seen()
    }

    pub(super) fn tombstone_until(&self) -> Option<Timestamp> {
        self.word.tombstone_until()
    }

    /// Whether the entry may make room for another. A tombstone takes none.
    fn is_expired(&self, now: Timestamp) -> bool {
        let kept_for = || Duration::from_secs(self.kept_for.load(Relaxed).into());
        self.last_seen().is_some() && self.word.is_expired(now, kept_for)
    }
}

/// Raises `number` to at least `to`.
fn raise(number: &AtomicU32, to: u32) {
    // Read first: a write that changes nothing would still take the cache line from others.
    if to > number.load(Relaxed) {
        number.fetch_max(to, Relaxed);
    }
}

/// Rounds up and saturates: an entry may be kept too long, not too short.
fn whole_secs(duration: Duration) -> u32 {
    let secs = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    u32::try_from(secs).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
