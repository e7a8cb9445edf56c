//! What this node remembers of sessions, so that a request costs no statement.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    identity::StoreKey,
    store::{
        StoredSession, Touch,
        table::{NEARBY, Table},
    },
    time::Timestamp,
};

/// How many sessions a node remembers, in some 60 to 100 bytes each.
const CAPACITY: usize = 1 << 20;

/// An activity is written once per session and this share of its idle timeout, or minute.
const SHARE_OF_IDLE: u32 = 60;
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// A bounded cache of standings. It may admit a session, never reject one: only the database, or
/// a tombstone, says that a session is over.
pub(super) struct NodeCache {
    table: Table<Entry>,
    /// Entries of an earlier generation are asked about anew.
    generation: AtomicU32,
}

/// What the front says to a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    Ended,
    /// The session lives, the activity is recorded here and need not be written.
    Live(Timestamp),
    /// The database must be asked or told.
    Ask(Option<Cached>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cached {
    /// The last activity that this node knows of.
    pub(super) last_seen: Timestamp,
    /// Whether the session lives, as far as this node knows.
    pub(super) is_alive: bool,
}

/// What the database is known to hold of a live session.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    pub(super) last_seen: Timestamp,
    pub(super) idle: Duration,
    /// The [`NodeCache::generation`] from before the database was asked.
    pub(super) generation: u32,
}

impl NodeCache {
    pub(super) fn new() -> Self {
        Self { table: Table::new(CAPACITY), generation: AtomicU32::new(0) }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Asks about everything anew.
    pub(super) fn invalidate(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    pub(super) fn touch(&self, session: &StoreKey, touch: Touch) -> Local {
        let generation = self.generation();
        let local = self.table.get(session, |entry| entry.touch(touch, generation));
        local.unwrap_or(Local::Ask(None))
    }

    /// What is known without asking; none where the session may have been active elsewhere since.
    pub(super) fn get(&self, session: &StoreKey, now: Timestamp) -> Option<StoredSession> {
        let generation = self.generation();
        self.table.get(session, |entry| entry.get(now, generation)).flatten()
    }

    /// The later of `stored` and what this node knows and has not written yet.
    pub(super) fn last_seen(&self, session: &StoreKey, stored: Timestamp) -> Timestamp {
        let here = self.table.get(session, Entry::last_seen).flatten();
        here.map_or(stored, |here| stored.max(Timestamp::from_millis(here)))
    }

    /// Notes that a session was active, if it is remembered; whether it is no tombstone here.
    pub(super) fn raise(&self, session: &StoreKey, now: Timestamp) -> bool {
        self.table.get(session, |entry| entry.raise(now)).unwrap_or(true)
    }

    /// Remembers a live session, if there is room; whether it is no tombstone here.
    pub(super) fn remember(&self, session: StoreKey, stored: Stored, seen: Timestamp) -> bool {
        let update = |entry: &Entry| entry.remember(stored, seen);
        if let Some(lifecycle_state) = self.table.get(&session, update) {
            return lifecycle_state;
        }
        let expired = |entry: &Entry| entry.is_expired(seen);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, Entry::last_seen));
        let Some(room) = room else { return true };
        self.table.insert(room, session, Entry::live(stored, seen), update).unwrap_or(true)
    }

    /// Remembers a tombstone, if there is any room: a request on its way, that was told by the
    /// database that the session lives, must not have the last word here.
    pub(super) fn end(&self, session: StoreKey, until: Timestamp, now: Timestamp) {
        let update = |entry: &Entry| entry.end(until);
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

/// How much time may pass between two writes of a session's activity.
pub(super) fn interval(idle: Duration) -> Duration {
    (idle / SHARE_OF_IDLE).min(LONGEST_INTERVAL)
}

/// The bit that makes an entry a tombstone.
const TOMBSTONE: u64 = 1 << 63;

/// What is known of one session. One word says whether it is over and when it was last seen, so
/// that no touch can slip past a tombstone.
struct Entry {
    /// The last activity; or, with [`TOMBSTONE`], until when the tombstone stands. Milliseconds.
    state: AtomicU64,
    /// The last activity that the database is known to hold.
    written: AtomicU64,
    /// The idle timeout it was last touched with, in milliseconds; at most 49 days.
    idle: AtomicU32,
    generation: AtomicU32,
}

impl Entry {
    fn live(stored: Stored, seen: Timestamp) -> Self {
        Self {
            state: AtomicU64::new(instant(seen.max(stored.last_seen))),
            written: AtomicU64::new(instant(stored.last_seen)),
            idle: AtomicU32::new(millis(stored.idle)),
            generation: AtomicU32::new(stored.generation),
        }
    }

    fn tombstone(until: Timestamp) -> Self {
        Self {
            state: AtomicU64::new(TOMBSTONE | instant(until)),
            written: AtomicU64::new(0),
            idle: AtomicU32::new(0),
            generation: AtomicU32::new(0),
        }
    }

    fn touch(&self, touch: Touch, generation: u32) -> Local {
        let Some(last_seen) = self.last_seen() else { return Local::Ended };
        let last_seen = Timestamp::from_millis(last_seen);
        let is_trusted = self.generation.load(Relaxed) == generation;
        let is_alive = is_trusted && touch.now < last_seen + touch.idle;
        let written = Timestamp::from_millis(self.written.load(Relaxed));
        if is_alive && touch.now < written + interval(touch.idle) {
            return if self.raise(touch.now) { Local::Live(last_seen) } else { Local::Ended };
        }
        Local::Ask(Some(Cached { last_seen, is_alive }))
    }

    fn get(&self, now: Timestamp, generation: u32) -> Option<StoredSession> {
        let Some(last_seen) = self.last_seen() else { return Some(StoredSession::Ended) };
        let last_seen = Timestamp::from_millis(last_seen);
        let idle = Duration::from_millis(self.idle.load(Relaxed).into());
        let is_trusted = self.generation.load(Relaxed) == generation;
        (is_trusted && now < last_seen + idle).then_some(StoredSession::Active(last_seen))
    }

    fn remember(&self, stored: Stored, seen: Timestamp) -> bool {
        self.written.fetch_max(instant(stored.last_seen), Relaxed);
        self.idle.store(millis(stored.idle), Relaxed);
        self.generation.store(stored.generation, Relaxed);
        self.raise(seen.max(stored.last_seen))
    }

    /// Moves the last activity forward; whether the session is no tombstone.
    fn raise(&self, to: Timestamp) -> bool {
        let mut state = self.state.load(Relaxed);
        while state & TOMBSTONE == 0 && state < instant(to) {
            match self.state.compare_exchange_weak(state, instant(to), Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(newer) => state = newer,
            }
        }
        state & TOMBSTONE == 0
    }

    fn end(&self, until: Timestamp) {
        // A tombstone is the greater one of any two words, then the one that stands longer.
        self.state.fetch_max(TOMBSTONE | instant(until), Relaxed);
    }

    /// The last activity in milliseconds; none for a tombstone.
    fn last_seen(&self) -> Option<u64> {
        let state = self.state.load(Relaxed);
        (state & TOMBSTONE == 0).then_some(state)
    }

    fn is_expired(&self, now: Timestamp) -> bool {
        let state = self.state.load(Relaxed);
        let over = Timestamp::from_millis(state & !TOMBSTONE);
        if state & TOMBSTONE != 0 {
            return now >= over;
        }
        now >= over + Duration::from_millis(self.idle.load(Relaxed).into())
    }
}

fn instant(at: Timestamp) -> u64 {
    at.as_millis().min(TOMBSTONE - 1)
}

/// Saturating: an entry may be asked about too often, not too rarely.
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

    fn ask(last_seen: u64, is_alive: bool) -> Local {
        Local::Ask(Some(Cached { last_seen: at(last_seen), is_alive }))
    }

    #[test]
    fn p24_within_the_interval_nothing_is_written() {
        let node_cache = node_cache();
        assert_eq!(node_cache.touch(&session(), touch(1009)), Local::Live(at(1000)));
        assert_eq!(node_cache.touch(&session(), touch(1005)), Local::Live(at(1009)));
        assert_eq!(node_cache.touch(&session(), touch(1010)), ask(1009, true));
    }

    #[test]
    fn p23_a_cached_standing_admits_and_never_rejects() {
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
        assert_eq!(node_cache.touch(&session(), touch(1001)), Local::Ended);
        assert_eq!(node_cache.get(&session(), at(1001)), Some(StoredSession::Ended));
    }

    #[test]
    fn an_answer_from_before_a_gap_in_the_news_is_not_relied_upon() {
        let node_cache = NodeCache::new();
        let stored =
            Stored { last_seen: at(1000), idle: IDLE, generation: node_cache.generation() };
        node_cache.invalidate();
        assert!(node_cache.remember(session(), stored, at(1000)));
        assert_eq!(node_cache.touch(&session(), touch(1001)), ask(1000, false));
    }

    #[test]
    fn the_interval_is_a_sixtieth_of_the_idle_timeout_and_at_most_a_minute() {
        assert_eq!(interval(IDLE), Duration::from_secs(10));
        assert_eq!(interval(Duration::from_secs(86_400)), Duration::from_secs(60));
    }
}
