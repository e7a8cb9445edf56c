//! What a node remembers of one session.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use super::{CachedTouch, LostActivity, Stored, Unwritten, touch_interval};
use crate::{
    identity::SessionKeys,
    store::{StoredSession, Touch, entry::SessionWord},
    time::Timestamp,
};

/// How long the answer of the store to a touch that a session has expired, or is unknown, is not asked
/// for again.
const FRESH: Duration = Duration::from_secs(1);

/// As [`FRESH`], to a reading: a stream asks once more when activities of other nodes must have been
/// written.
pub(in crate::store) const EXPIRED_KEPT_FOR: Duration = Duration::from_millis(200);

pub(super) struct Entry {
    /// The last activity that this node knows of; the epoch if it knows of none.
    word: SessionWord,
    /// The last activity that the store is known to have, in milliseconds; zero for none.
    written: AtomicU64,
    /// When the store was read last, in milliseconds.
    read_at: AtomicU64,
    /// The idle timeout of the last touch, in milliseconds.
    idle: AtomicU64,
    /// How long the row of a session without a record is kept after that, in milliseconds.
    kept_for: AtomicU64,
    /// The latest generation of which an access token was presented here, and the latest one that
    /// the store is known to have.
    presented: AtomicU32,
    presented_written: AtomicU32,
    generation: AtomicU32,
    /// Whether the activity is scheduled to be written.
    is_scheduled: AtomicBool,
}

impl Entry {
    pub(super) fn new(stored: Stored) -> Self {
        let last_seen = stored.last_seen.unwrap_or(Timestamp::EPOCH);
        Self {
            word: SessionWord::active(last_seen),
            written: AtomicU64::new(last_seen.as_millis()),
            read_at: AtomicU64::new(stored.read_at.as_millis()),
            idle: AtomicU64::new(millis(stored.idle)),
            kept_for: AtomicU64::new(millis(stored.idle)),
            presented: AtomicU32::new(0),
            presented_written: AtomicU32::new(0),
            generation: AtomicU32::new(stored.generation),
            is_scheduled: AtomicBool::new(false),
        }
    }

    pub(super) fn tombstone(until: Timestamp) -> Self {
        Self {
            word: SessionWord::tombstone(until),
            written: AtomicU64::new(0),
            read_at: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            kept_for: AtomicU64::new(0),
            presented: AtomicU32::new(0),
            presented_written: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            is_scheduled: AtomicBool::new(false),
        }
    }

    /// Returns the answer, and when the activity is to be written, unless that is scheduled.
    pub(super) fn touch(
        &self,
        touch: Touch,
        generation: u32,
        lost: &LostActivity,
    ) -> (CachedTouch, Option<Timestamp>) {
        // Read before the word: what `remember` has stored after a reading counts with it.
        let is_current = self.generation.load(Acquire) == generation;
        let is_fresh = self.is_read_within(FRESH, touch.now);
        let Some(millis) = self.last_seen() else { return (CachedTouch::Ended, None) };
        let last_seen = Timestamp::from_millis(millis);
        let last_activity = if millis == 0 {
            touch.unknown_activity
        } else {
            lost.last_activity(last_seen, touch.unknown_activity).max(touch.token_activity)
        };
        if !is_current || touch.known_only && millis == 0 {
            return (CachedTouch::Ask, None);
        }
        if touch.now < last_activity + touch.idle {
            let before = (millis > 0).then_some(last_seen);
            return match self.record(touch) {
                (true, write_at) => (CachedTouch::Active(before), write_at),
                (false, _) => (CachedTouch::Ended, None),
            };
        }
        let is_idle = is_fresh && self.is_read_since(last_activity + touch.idle);
        let outcome = if is_idle { CachedTouch::Idle(last_activity) } else { CachedTouch::Ask };
        (outcome, None)
    }

    /// Records an activity. Returns whether there is no tombstone, and when the activity is to be
    /// written, unless that is scheduled.
    pub(super) fn record(&self, touch: Touch) -> (bool, Option<Timestamp>) {
        if !self.word.raise(touch.now) {
            return (false, None);
        }
        set(&self.idle, millis(touch.idle));
        set(&self.kept_for, millis(touch.kept_for));
        let is_new = touch.generation > self.presented.load(Relaxed)
            && touch.generation > self.presented.fetch_max(touch.generation, Relaxed);
        let written = self.written.load(Relaxed);
        let is_written = touch.now.as_millis() <= written && !is_new;
        if is_written || self.is_scheduled.load(Relaxed) {
            return (true, None);
        }
        if self.is_scheduled.swap(true, Relaxed) {
            return (true, None);
        }
        // At the end of the touch interval. A session that the store does not know begins at once,
        // and so is a new generation: a refresh on another node needs to know of it.
        let end = match written {
            _ if is_new => touch.now,
            0 => touch.now,
            written => Timestamp::from_millis(written) + touch_interval(touch.idle),
        };
        (true, Some(end.max(touch.now)))
    }

    pub(super) fn record_written(&self, at: Timestamp) {
        self.word.raise(at);
        self.written.fetch_max(at.as_millis(), Relaxed);
    }

    pub(super) fn get(
        &self,
        now: Timestamp,
        generation: u32,
        lost: &LostActivity,
    ) -> Option<StoredSession> {
        let is_current = self.generation.load(Acquire) == generation;
        let is_fresh = self.is_read_within(EXPIRED_KEPT_FOR, now);
        let Some(millis) = self.last_seen() else { return Some(StoredSession::Ended) };
        let last_seen = Timestamp::from_millis(millis);
        let deadline = last_seen + self.idle();
        if !is_current || now >= deadline && !(is_fresh && self.is_read_since(deadline)) {
            return None;
        }
        Some(if millis == 0 { StoredSession::Unknown } else { lost.stored(last_seen) })
    }

    pub(super) fn remember(&self, stored: Stored) -> bool {
        let last_seen = stored.last_seen.unwrap_or(Timestamp::EPOCH);
        let is_active = self.word.raise(last_seen);
        if self.generation.load(Acquire) == stored.generation {
            self.written.fetch_max(last_seen.as_millis(), Relaxed);
        } else {
            // The store may have lost what was written before.
            self.written.store(last_seen.as_millis(), Relaxed);
            self.presented_written.store(0, Relaxed);
        }
        self.idle.store(millis(stored.idle), Relaxed);
        self.read_at.store(stored.read_at.as_millis(), Release);
        self.generation.store(stored.generation, Release);
        is_active
    }

    pub(super) fn end(&self, until: Timestamp) {
        self.word.end(until);
    }

    /// Takes the activity to write it. Until the outcome is known, it counts as written.
    pub(super) fn take_unwritten(&self, keys: SessionKeys) -> Option<Unwritten> {
        self.is_scheduled.store(false, Relaxed);
        let millis = self.last_seen()?;
        let written = self.written.fetch_max(millis, Relaxed);
        let presented = self.presented.load(Relaxed);
        let presented_written = self.presented_written.fetch_max(presented, Relaxed);
        (written < millis || presented_written < presented).then(|| Unwritten {
            keys,
            last_seen: Timestamp::from_millis(millis),
            idle: self.idle(),
            kept_for: Duration::from_millis(self.kept_for.load(Relaxed)),
            presented,
            written,
            presented_written,
        })
    }

    /// The activity was not written. Returns whether it must be scheduled again.
    pub(super) fn put_back(&self, row: &Unwritten) -> bool {
        let millis = row.last_seen.as_millis();
        // It stays as it is if something later was written meanwhile.
        let restored = self.written.compare_exchange(millis, row.written, Relaxed, Relaxed);
        let (presented, before) = (row.presented, row.presented_written);
        let generation =
            self.presented_written.compare_exchange(presented, before, Relaxed, Relaxed);
        let is_due = restored.is_ok() || generation.is_ok() && before < presented;
        is_due && !self.is_scheduled.swap(true, Relaxed)
    }

    pub(super) fn presented(&self) -> u32 {
        self.presented.load(Relaxed)
    }

    pub(super) fn last_seen(&self) -> Option<u64> {
        self.word.last_seen()
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        !self.is_read_within(FRESH, now) && self.word.is_expired(now, || self.idle())
    }

    fn is_read_within(&self, span: Duration, now: Timestamp) -> bool {
        let read_at = Timestamp::from_millis(self.read_at.load(Acquire));
        read_at <= now && now < read_at + span
    }

    /// Whether it was read at the deadline or later: an earlier reading does not tell that no other node has
    /// seen an activity since.
    fn is_read_since(&self, deadline: Timestamp) -> bool {
        deadline.as_millis() <= self.read_at.load(Acquire)
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.idle.load(Relaxed))
    }
}

/// Reads first: a write that changes nothing would still take the cache line from others.
fn set(number: &AtomicU64, to: u64) {
    if number.load(Relaxed) != to {
        number.store(to, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
