//! The store of sessions in memory.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::lifecycle_state::LifecycleState;
use crate::{
    identity::StoreKey,
    maybe_ready::{MaybeReady, StoreError},
    store::{
        AccountPolicies, Revocations, SessionStore, StoredSession, Touch, TouchOutcome,
        table::{NEARBY, Table},
    },
    time::Timestamp,
};

/// Remembers sessions in this process. The default store.
///
/// It holds a bounded number of entries and takes its memory as they come: some 40 to 75 bytes
/// each, at most 150 once many have come and gone. It never gives memory back. Sessions
/// whose idle timeout has passed, and tombstones past their time, are cleared little by little as
/// new sessions arrive; no task runs in the background. When it is full, the sessions that have
/// been inactive the longest make room: a session that was forgotten is judged by its token
/// alone. A tombstone is never forgotten before its time.
///
/// **A restart forgets everything**, and nothing is shared between processes. Sessions are then
/// judged by their tokens until they are next active, and a token whose session was ended is good
/// again until it expires. Where that matters, use a store that lasts.
///
/// It is a [`LifecycleStore`](crate::store::LifecycleStore) too: beside the entries, behind a lock
/// that neither a touch nor a peek takes, it keeps as many records of sessions as entries (some 700
/// bytes each), eight times as many used refresh tokens (some 120 bytes each, and two payloads
/// until the successor is used), and the latest 10,000 rows of each log, none of them 90 days older
/// than the latest. Where there is no room for a record, the session that would end first is
/// neither listed nor refreshed any more. Where there is none for a used token, a refresh is an
/// error: a used token is not forgotten before its time. Marks are remembered until their time. A
/// restart forgets all of this as well.
///
/// Every answer is at hand. A touch of a known session takes a shared lock and one atomic step.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::{
///     Timestamp, identity::StoreKey, store::{MemoryStore, SessionStore, Touch, TouchOutcome},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_sliding_session::store::StoreError> {
/// let store = MemoryStore::new();
/// let session = StoreKey::session(None, "a-session");
/// let now = Timestamp::from_secs(1_800_000_000);
/// let idle = Duration::from_secs(1200);
/// let touch = Touch::new(now, now, idle);
/// assert_eq!(store.touch(session, touch).await?, TouchOutcome::Active(None));
///
/// store.write_tombstone(session, now + Duration::from_secs(3600)).await?;
/// assert_eq!(store.touch(session, touch).await?, TouchOutcome::Ended);
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    table: Table<Entry>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) account_policies: Arc<AccountPolicies>,
    /// Boxed, so that requests share no cache line with it.
    pub(super) lifecycle_state: Box<Mutex<LifecycleState>>,
}

impl MemoryStore {
    /// How many sessions a store remembers by default: 1,048,576, in at most 160 MB.
    pub const DEFAULT_CAPACITY: usize = 1 << 20;

    /// A store of [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// A store that remembers at most `max_sessions`, tombstones included. Allocates little until
    /// sessions come.
    #[must_use]
    pub fn with_capacity(max_sessions: usize) -> Self {
        Self {
            table: Table::new(max_sessions),
            revocations: Arc::default(),
            account_policies: Arc::default(),
            lifecycle_state: Box::new(Mutex::new(LifecycleState::new(max_sessions))),
        }
    }

    /// How many sessions are remembered, tombstones included. Takes no lock.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is remembered.
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
        if is_idle(touch.token_activity, touch) {
            return TouchOutcome::Idle(touch.token_activity);
        }
        let expired = |entry: &Entry| entry.is_expired(touch.now);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, Entry::last_seen));
        let Some(room) = room else { return TouchOutcome::Active(None) };
        // The entry may have appeared since it was looked for, as a tombstone perhaps.
        self.table
            .insert(room, session, Entry::active(touch), |entry| entry.touch(touch))
            .unwrap_or(TouchOutcome::Active(None))
    }

    /// Records an activity without judging what came before; a tombstone stays.
    pub(super) fn record_activity(&self, session: StoreKey, now: Timestamp, idle: Duration) {
        self.touch_now(session, Touch { now, token_activity: now, idle, known_only: false });
    }

    pub(super) fn get_now(&self, session: &StoreKey) -> StoredSession {
        let peeked = self.table.get(session, |entry| match entry.last_seen() {
            Some(millis) => StoredSession::Active(Timestamp::from_millis(millis)),
            None => StoredSession::Ended,
        });
        peeked.unwrap_or(StoredSession::Unknown)
    }

    pub(super) fn write_tombstone_now(
        &self,
        session: StoreKey,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        if self.table.get(&session, |entry| entry.end(until)).is_some() {
            return Ok(());
        }
        let room = (self.table.room())
            .or_else(|| self.table.room_of_oldest(&session, usize::MAX, Entry::last_seen))
            .ok_or_else(|| StoreError::new("the memory store is full of ended sessions"))?;
        self.table.insert(room, session, Entry::tombstone(until), |entry| entry.end(until));
        Ok(())
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
    fn touch(&self, session: StoreKey, touch: Touch) -> MaybeReady<TouchOutcome> {
        MaybeReady::ready(Ok(self.touch_now(session, touch)))
    }

    fn get(&self, session: StoreKey) -> MaybeReady<StoredSession> {
        MaybeReady::ready(Ok(self.get_now(&session)))
    }

    /// # Errors
    /// If the store is full of tombstones; to find out, it looks at every entry.
    fn write_tombstone(&self, session: StoreKey, until: Timestamp) -> MaybeReady<()> {
        MaybeReady::ready(self.revoke_alone(session, until))
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        Some(Arc::clone(&self.revocations))
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        Some(Arc::clone(&self.account_policies))
    }
}

/// The bit that makes an entry a tombstone. The instant beside it keeps 63 bits.
const TOMBSTONE: u64 = 1 << 63;

/// What is known of one session.
///
/// One word says whether it is over and when it was last seen, so that no touch can slip past a
/// tombstone, whatever locks are held.
struct Entry {
    /// The last activity; or, with [`TOMBSTONE`], until when the tombstone stands. Milliseconds.
    state: AtomicU64,
    /// The longest idle timeout it was touched with, in seconds, rounded up.
    idle: AtomicU32,
}

impl Entry {
    fn active(touch: Touch) -> Self {
        Self {
            state: AtomicU64::new(instant(touch.now)),
            idle: AtomicU32::new(whole_secs(touch.idle)),
        }
    }

    fn tombstone(until: Timestamp) -> Self {
        Self { state: AtomicU64::new(over_until(until)), idle: AtomicU32::new(0) }
    }

    fn touch(&self, touch: Touch) -> TouchOutcome {
        let mut state = self.state.load(Relaxed);
        loop {
            if state & TOMBSTONE != 0 {
                return TouchOutcome::Ended;
            }
            let last_seen = Timestamp::from_millis(state);
            let last_activity = last_seen.max(touch.token_activity);
            if is_idle(last_activity, touch) {
                return TouchOutcome::Idle(last_activity);
            }
            let later = instant(touch.now).max(state);
            if later != state
                && let Err(newer) = self.state.compare_exchange_weak(state, later, Relaxed, Relaxed)
            {
                state = newer;
                continue;
            }
            self.remember_idle(touch.idle);
            return TouchOutcome::Active(Some(last_seen));
        }
    }

    fn remember_idle(&self, idle: Duration) {
        let secs = whole_secs(idle);
        // Read first: a write that changes nothing would still take the cache line from others.
        if secs > self.idle.load(Relaxed) {
            self.idle.fetch_max(secs, Relaxed);
        }
    }

    fn end(&self, until: Timestamp) {
        // A tombstone is the greater one of any two words, then the one that stands longer.
        self.state.fetch_max(over_until(until), Relaxed);
    }

    /// The last activity in milliseconds; none for a tombstone.
    fn last_seen(&self) -> Option<u64> {
        let state = self.state.load(Relaxed);
        (state & TOMBSTONE == 0).then_some(state)
    }

    /// Whether the store may forget it. A session past its idle deadline is no more alive by its
    /// token, whose activity is never the later one unless it was minted since.
    fn is_expired(&self, now: Timestamp) -> bool {
        let state = self.state.load(Relaxed);
        let over = Timestamp::from_millis(state & !TOMBSTONE);
        if state & TOMBSTONE != 0 {
            return now >= over;
        }
        now >= over + Duration::from_secs(self.idle.load(Relaxed).into())
    }
}

fn is_idle(last_activity: Timestamp, touch: Touch) -> bool {
    touch.now >= last_activity + touch.idle
}

/// The word of a tombstone.
fn over_until(until: Timestamp) -> u64 {
    TOMBSTONE + instant(until)
}

fn instant(at: Timestamp) -> u64 {
    at.as_millis().min(TOMBSTONE - 1)
}

/// Rounded up and saturating: an entry may be kept too long, not too short.
fn whole_secs(duration: Duration) -> u32 {
    let secs = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    u32::try_from(secs).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
