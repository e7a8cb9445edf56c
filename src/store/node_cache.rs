//! The cache of a node in front of a shared store: most requests need no statement.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    identity::StoreKey,
    store::{
        StoredSession, Touch,
        entry::SessionWord,
        table::{NEARBY, Table},
    },
    time::Timestamp,
};

/// How many sessions a node caches, in 60 to 100 bytes each.
const CAPACITY: usize = 1 << 20;

/// An activity is written once per session and this fraction of its idle timeout, at most this
/// interval.
const INTERVALS_PER_IDLE: u32 = 60;
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// A bounded cache of what the store knows of sessions. It may admit a session and never reject
/// one, except by a tombstone: that a session has expired, only the database says.
pub(super) struct NodeCache {
    table: Table<Entry>,
    /// Entries of an earlier generation admit nothing.
    generation: AtomicU32,
}

/// The answer of the cache to a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CachedTouch {
    Ended,
    /// The session is active; the activity is recorded here and need not be written yet. With the
    /// last activity before it.
    Active(Timestamp),
    /// The database must be read or written.
    Ask(Option<Cached>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    /// The last activity that this node knows of.
    pub(super) last_seen: Timestamp,
    /// Whether the session is active, as far as this node knows.
    pub(super) is_active: bool,
}

/// What the database is known to have of an active session.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) last_seen: Timestamp,
    pub(super) idle: Duration,
    /// The [`NodeCache::generation`] before the database was read.
    pub(super) generation: u32,
}

impl NodeCache {
    pub(super) fn new() -> Self {
        Self { table: Table::new(CAPACITY), generation: AtomicU32::new(0) }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Invalidates every entry but tombstones: changes may have been missed.
    pub(super) fn invalidate(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    pub(super) fn touch(&self, session: &StoreKey, touch: Touch) -> CachedTouch {
        let generation = self.generation();
        let outcome = self.table.get(session, |entry| entry.touch(touch, generation));
        outcome.unwrap_or(CachedTouch::Ask(None))
    }

    /// Returns what the cache knows for certain; `None` if the session may have been active on
    /// another node since.
    pub(super) fn get(&self, session: &StoreKey, now: Timestamp) -> Option<StoredSession> {
        let generation = self.generation();
        self.table.get(session, |entry| entry.get(now, generation)).flatten()
    }

    /// Returns the later of `stored` and the activity that this node has not written yet.
    pub(super) fn last_seen(&self, session: &StoreKey, stored: Timestamp) -> Timestamp {
        let here = self.table.get(session, Entry::last_seen).flatten();
        here.map_or(stored, |here| stored.max(Timestamp::from_millis(here)))
    }

    /// Records an activity if the session is cached. Returns `false` if it is a tombstone here.
    pub(super) fn raise(&self, session: &StoreKey, now: Timestamp) -> bool {
        self.table.get(session, |entry| entry.word.raise(now)).unwrap_or(true)
    }

    /// Caches an active session, if there is room. Returns `false` if it is a tombstone here.
    pub(super) fn remember(&self, session: StoreKey, stored: Stored, seen: Timestamp) -> bool {
        let update = |entry: &Entry| entry.remember(stored, seen);
        if let Some(is_active) = self.table.get(&session, update) {
            return is_active;
        }
        let expired = |entry: &Entry| entry.is_expired(seen);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, Entry::last_seen));
        let Some(room) = room else { return true };
        self.table.insert(room, session, Entry::active(stored, seen), update).unwrap_or(true)
    }

    /// Caches a tombstone, if there is any room: a concurrent request that has read the session as
    /// active must not overwrite it.
    pub(super) fn end(&self, session: StoreKey, until: Timestamp, now: Timestamp) {
        let update = |entry: &Entry| entry.word.end(until);
        if self.table.get(&session, update).is_some() {
            return;
        }
        let expired = |entry: &Entry| entry.is_expired(now);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, usize::MAX, Entry::last_seen));
        if let Some(room) = room {
            self.table.insert(room, session, Entry::tombstone(until), update);
        }
    }
}

/// Returns the touch interval: how much time may pass between two writes of a session's activity.
pub(super) fn touch_interval(idle: Duration) -> Duration {
    (idle / INTERVALS_PER_IDLE).min(MAX_INTERVAL)
}

/// What this node remembers of one session.
struct Entry {
    word: SessionWord,
    /// The last activity that the database is known to have, in milliseconds.
    written: AtomicU64,
    /// The idle timeout of the last touch, in milliseconds; at most 49 days.
    idle: AtomicU32,
    generation: AtomicU32,
}

impl Entry {
    fn active(stored: Stored, seen: Timestamp) -> Self {
        Self {
            word: SessionWord::active(seen.max(stored.last_seen)),
            written: AtomicU64::new(stored.last_seen.as_millis()),
            idle: AtomicU32::new(millis(stored.idle)),
            generation: AtomicU32::new(stored.generation),
        }
    }

    fn tombstone(until: Timestamp) -> Self {
        Self {
            word: SessionWord::tombstone(until),
            written: AtomicU64::new(0),
            idle: AtomicU32::new(0),
            generation: AtomicU32::new(0),
        }
    }

    fn touch(&self, touch: Touch, generation: u32) -> CachedTouch {
        let Some(last_seen) = self.last_seen() else { return CachedTouch::Ended };
        let last_seen = Timestamp::from_millis(last_seen);
        let is_current = self.generation.load(Relaxed) == generation;
        let is_active = is_current && touch.now < last_seen + touch.idle;
        let written = Timestamp::from_millis(self.written.load(Relaxed));
        if is_active && touch.now < written + touch_interval(touch.idle) {
            return if self.word.raise(touch.now) {
                CachedTouch::Active(last_seen)
            } else {
                CachedTouch::Ended
            };
        }
        CachedTouch::Ask(Some(Cached { last_seen, is_active }))
    }

    fn get(&self, now: Timestamp, generation: u32) -> Option<StoredSession> {
        let Some(last_seen) = self.last_seen() else { return Some(StoredSession::Ended) };
        let last_seen = Timestamp::from_millis(last_seen);
        let is_current = self.generation.load(Relaxed) == generation;
        (is_current && now < last_seen + self.idle()).then_some(StoredSession::Active(last_seen))
    }

    fn remember(&self, stored: Stored, seen: Timestamp) -> bool {
        self.written.fetch_max(stored.last_seen.as_millis(), Relaxed);
        self.idle.store(millis(stored.idle), Relaxed);
        self.generation.store(stored.generation, Relaxed);
        self.word.raise(seen.max(stored.last_seen))
    }

    fn last_seen(&self) -> Option<u64> {
        self.word.last_seen()
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.idle.load(Relaxed).into())
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        self.word.is_expired(now, || self.idle())
    }
}

/// Saturates: an entry may expire too early, not too late.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(600);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn session() -> StoreKey {
        StoreKey::session(None, "s")
    }

    fn touch(now: u64) -> Touch {
        Touch { now: at(now), token_activity: at(0), idle: IDLE, known_only: false }
    }

    fn node_cache() -> NodeCache {
        let node_cache = NodeCache::new();
        let stored =
            Stored { last_seen: at(1000), idle: IDLE, generation: node_cache.generation() };
        assert!(node_cache.remember(session(), stored, at(1000)));
        node_cache
    }

    fn ask(last_seen: u64, is_active: bool) -> CachedTouch {
        CachedTouch::Ask(Some(Cached { last_seen: at(last_seen), is_active }))
    }

    #[test]
    fn p24_nothing_is_written_within_the_touch_interval() {
        let node_cache = node_cache();
        assert_eq!(node_cache.touch(&session(), touch(1009)), CachedTouch::Active(at(1000)));
        assert_eq!(node_cache.touch(&session(), touch(1005)), CachedTouch::Active(at(1009)));
        assert_eq!(node_cache.touch(&session(), touch(1010)), ask(1009, true));
    }

    #[test]
    fn p23_a_cached_session_is_admitted_and_never_rejected() {
        let node_cache = node_cache();
        assert_eq!(node_cache.touch(&session(), touch(1599)), ask(1000, true));
        assert_eq!(node_cache.touch(&session(), touch(1600)), ask(1000, false));
        assert_eq!(node_cache.get(&session(), at(1599)), Some(StoredSession::Active(at(1000))));
        assert_eq!(node_cache.get(&session(), at(1600)), None);
        node_cache.invalidate();
        assert_eq!(node_cache.touch(&session(), touch(1001)), ask(1000, false));
        assert_eq!(node_cache.get(&session(), at(1001)), None);
    }

    #[test]
    fn p04_a_tombstone_is_final() {
        let node_cache = node_cache();
        node_cache.end(session(), at(9000), at(1000));
        node_cache.raise(&session(), at(2000));
        let stored = Stored { last_seen: at(3000), idle: IDLE, generation: 0 };
        assert!(!node_cache.remember(session(), stored, at(3000)));
        assert_eq!(node_cache.touch(&session(), touch(1001)), CachedTouch::Ended);
        assert_eq!(node_cache.get(&session(), at(1001)), Some(StoredSession::Ended));
    }

    #[test]
    fn an_answer_read_before_an_invalidation_admits_nothing() {
        let node_cache = NodeCache::new();
        let stored =
            Stored { last_seen: at(1000), idle: IDLE, generation: node_cache.generation() };
        node_cache.invalidate();
        assert!(node_cache.remember(session(), stored, at(1000)));
        assert_eq!(node_cache.touch(&session(), touch(1001)), ask(1000, false));
    }

    #[test]
    fn the_touch_interval_is_a_sixtieth_of_the_idle_timeout_and_at_most_a_minute() {
        assert_eq!(touch_interval(IDLE), Duration::from_secs(10));
        assert_eq!(touch_interval(Duration::from_secs(86_400)), Duration::from_secs(60));
    }
}
