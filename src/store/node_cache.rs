//! The cache of a node in front of a shared store: most requests need no statement.

mod entry;
mod lost_activity;
mod write_schedule;

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

pub(super) use self::entry::EXPIRED_KEPT_FOR;
use self::{entry::Entry, lost_activity::LostActivity, write_schedule::WriteSchedule};
use crate::{
    identity::{SessionKeys, StoreKey},
    metrics,
    store::{
        StoredSession, Touch,
        table::{NEARBY, Table},
    },
    time::Timestamp,
};

/// How many sessions a node caches, in 100 to 160 bytes each.
const CAPACITY: usize = 1 << 20;

/// An activity is written once per session and this fraction of its idle timeout, at most this
/// interval.
const INTERVALS_PER_IDLE: u32 = 60;
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// A bounded cache of what the store knows of sessions, and the activities that are to be written.
///
/// It may admit a session and never reject one, with two exceptions: a tombstone, and for a second
/// what the store has answered since the session's deadline, so that an expired token costs no more than
/// another.
pub(super) struct NodeCache {
    table: Table<Entry>,
    /// Entries of an earlier generation answer nothing.
    generation: AtomicU32,
    lost_activity: LostActivity,
    schedule: WriteSchedule,
}

/// The answer of the cache to a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CachedTouch {
    Ended,
    /// The session is active, and the activity is recorded; with the last activity before it,
    /// unless this is the first one that is known.
    Active(Option<Timestamp>),
    /// The idle timeout has passed, as the store has answered just now; with the last activity.
    Idle(Timestamp),
    /// The store must be read.
    Ask,
}

/// What the store is known to have of a session that has no tombstone.
#[derive(Clone, Copy)]
pub(super) struct Stored {
    /// `None` if the store does not know the session.
    pub(super) last_seen: Option<Timestamp>,
    pub(super) idle: Duration,
    /// The [`NodeCache::generation`] before the store was read.
    pub(super) generation: u32,
    /// When the store was read.
    pub(super) read_at: Timestamp,
}

/// An activity that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unwritten {
    pub(super) keys: SessionKeys,
    pub(super) last_seen: Timestamp,
    pub(super) idle: Duration,
    /// How long a row without a record is kept after that.
    pub(super) kept_for: Duration,
    /// The latest generation of which an access token was presented.
    pub(super) presented: u32,
    /// What was written before.
    written: u64,
    presented_written: u32,
}

impl NodeCache {
    pub(super) fn new() -> Self {
        Self {
            table: Table::new(CAPACITY),
            generation: AtomicU32::new(0),
            lost_activity: LostActivity::default(),
            schedule: WriteSchedule::default(),
        }
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Invalidates every entry but tombstones: changes may have been missed.
    pub(super) fn invalidate(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// What the store may have lost.
    pub(super) const fn lost_activity(&self) -> &LostActivity {
        &self.lost_activity
    }

    pub(super) fn touch(&self, keys: SessionKeys, touch: Touch) -> CachedTouch {
        let generation = self.generation();
        let lost = &self.lost_activity;
        let touched = self.table.get(&keys.session, |entry| entry.touch(touch, generation, lost));
        let Some((outcome, write_at)) = touched else { return CachedTouch::Ask };
        if let Some(at) = write_at {
            self.schedule.add(at, keys);
        }
        outcome
    }

    /// Returns what the cache knows for certain; `None` if the session may have been active on
    /// another node since.
    pub(super) fn get(&self, session: &StoreKey, now: Timestamp) -> Option<StoredSession> {
        let generation = self.generation();
        self.table.get(session, |entry| entry.get(now, generation, &self.lost_activity)).flatten()
    }

    /// Returns the later of `stored` and the activity that this node has not written yet.
    pub(super) fn last_seen(&self, session: &StoreKey, stored: Timestamp) -> Timestamp {
        let here = self.table.get(session, Entry::last_seen).flatten();
        here.map_or(stored, |here| stored.max(Timestamp::from_millis(here)))
    }

    /// Returns the latest generation of which an access token was presented on this node.
    pub(super) fn presented(&self, session: &StoreKey) -> u32 {
        self.table.get(session, Entry::presented).unwrap_or_default()
    }

    /// Records an activity of a session that the store knows. Returns `false` if it is a tombstone
    /// here.
    pub(super) fn record(&self, keys: SessionKeys, touch: Touch) -> bool {
        let recorded = self.table.get(&keys.session, |entry| entry.record(touch));
        let Some((is_active, write_at)) = recorded else { return true };
        if let Some(at) = write_at {
            self.schedule.add(at, keys);
        }
        is_active
    }

    /// Records an activity that was written to the store.
    pub(super) fn record_written(&self, session: &StoreKey, at: Timestamp) {
        self.table.get(session, |entry| entry.record_written(at));
    }

    /// Caches what the store has of a session, if there is room. Returns `false` if it is a
    /// tombstone here.
    pub(super) fn remember(&self, session: StoreKey, stored: Stored) -> bool {
        let update = |entry: &Entry| entry.remember(stored);
        if let Some(is_active) = self.table.get(&session, update) {
            return is_active;
        }
        let expired = |entry: &Entry| entry.is_expired(stored.read_at);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, Entry::last_seen));
        let Some(room) = room else { return true };
        let is_active = self.table.insert(room, session, Entry::new(stored), update);
        metrics::set_live_sessions(self.table.len());
        is_active.unwrap_or(true)
    }

    /// Caches a tombstone, if there is room nearby: a concurrent request that has read the session as
    /// active must not overwrite it. Returns whether it did.
    pub(super) fn end(&self, session: StoreKey, until: Timestamp, now: Timestamp) -> bool {
        let update = |entry: &Entry| entry.end(until);
        if self.table.get(&session, update).is_some() {
            return true;
        }
        let expired = |entry: &Entry| entry.is_expired(now);
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, Entry::last_seen));
        let Some(room) = room else { return false };
        self.table.insert(room, session, Entry::tombstone(until), update);
        true
    }

    /// Removes the tombstone of a session whose user's folded tombstones revoke it: no user fills the
    /// cache with tombstones.
    pub(super) fn remove_tombstone(&self, session: &StoreKey) {
        self.table.remove_if(session, |entry| entry.last_seen().is_none());
    }

    pub(super) fn is_tombstone(&self, session: &StoreKey) -> bool {
        self.table.get(session, |entry| entry.last_seen().is_none()).unwrap_or(false)
    }

    /// Takes at most `limit` activities whose time to be written has come. Those that are not written are
    /// due again at `again_at`.
    pub(super) fn take_due(
        &self,
        now: Timestamp,
        again_at: Timestamp,
        limit: usize,
    ) -> UnwrittenBatch<'_> {
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some(keys) = self.schedule.take(now)
        {
            let unwritten = self.table.get(&keys.session, |entry| entry.take_unwritten(keys));
            rows.extend(unwritten.flatten());
        }
        UnwrittenBatch { node_cache: self, rows, again_at }
    }
}

/// Activities that are being written. They are due again if that fails or is cancelled.
pub(super) struct UnwrittenBatch<'a> {
    node_cache: &'a NodeCache,
    pub(super) rows: Vec<Unwritten>,
    again_at: Timestamp,
}

impl UnwrittenBatch<'_> {
    /// All are written but those at these places.
    pub(super) fn set_written(mut self, unwritten: &[usize]) {
        self.rows = unwritten.iter().map(|&place| self.rows[place]).collect();
    }
}

impl Drop for UnwrittenBatch<'_> {
    fn drop(&mut self) {
        for row in &self.rows {
            let is_due = self.node_cache.table.get(&row.keys.session, |entry| entry.put_back(row));
            if is_due.unwrap_or(false) {
                self.node_cache.schedule.add(self.again_at, row.keys);
            }
        }
    }
}

/// Returns the touch interval: how much time may pass between two writes of a session's activity.
pub(super) fn touch_interval(idle: Duration) -> Duration {
    (idle / INTERVALS_PER_IDLE).min(MAX_INTERVAL)
}

#[cfg(test)]
mod tests;
