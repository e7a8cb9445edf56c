//! Touch and get: the node's cache first, then the store. A request waits for what it reads; what it
//! writes follows later, many activities at once.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{NodeState, StoredSession, Touch, TouchOutcome};
use crate::{
    clock::{Clock, Stopwatch},
    identity::{SessionKeys, StoreKey},
    jitter::jitter,
    maybe_ready::StoreError,
    store::{
        node_cache::{CachedTouch, EXPIRED_KEPT_FOR, Stored, Unwritten},
        race::{First, race},
        turns::Turn,
    },
    time::Timestamp,
};

/// How many activities are written at once.
const PIECE: usize = 500;

/// How often activities that are due are written. The first activity after a touch interval is due at
/// once, and of those in an interval it moves the deadline most.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);

/// How long a step of the background task may take that is in time for other nodes.
const STEP_TIME: Duration = Duration::from_millis(200);

/// How long after an activity another node can rely on reading of it: what writes it has been sent and
/// has ended, and so has what the cache of that node remembers from before. With the time limit of the
/// reading that follows, a stream ends within a second of its idle deadline.
pub(in crate::store) const ACTIVITY_DELAY: Duration =
    WRITE_INTERVAL.saturating_add(STEP_TIME).saturating_add(EXPIRED_KEPT_FOR);

/// How often expired rows are removed, unless there are many.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// How long a node waits for more after a push.
const PUSH_PAUSE: Duration = Duration::from_millis(5);

/// How long what has expired is kept: the clock of another node may be behind by the largest skew.
pub(in crate::store) const GRACE: Duration = Duration::from_secs(120);

/// A store that several nodes share, on one of them.
pub(in crate::store) trait SharedStore: Send + Sync + 'static {
    fn node(&self) -> &NodeState;

    /// Reads and applies the changes of other nodes since the last reading.
    fn sync(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Syncs if the last reading is too old to rely on. Of many callers one starts a reading, which goes
    /// on if the caller is cut off by its time limit: under more load than the node bears a reading
    /// takes longer than that, and without one every request fails.
    fn sync_if_stale(self: &Arc<Self>) -> impl Future<Output = Result<(), StoreError>> + Send {
        async {
            let is_recent = || self.node().is_up_to_date().then_some(());
            let First::Right(turn) = self.node().syncing.next_unless(is_recent).await else {
                return Ok(());
            };
            let store = Arc::clone(self);
            let syncing = tokio::spawn(async move {
                let read = read_changes(&*store).await;
                if read.is_ok() {
                    turn.end();
                }
                read
            });
            syncing.await.map_err(StoreError::new)?
        }
    }

    /// Reads a session into the cache. It goes on if the request is cancelled, so that the next one
    /// need not start again; the `turn` ends then.
    fn read(
        self: &Arc<Self>,
        keys: SessionKeys,
        now: Timestamp,
        turn: Turn,
    ) -> impl Future<Output = Result<Known, StoreError>> + Send;

    /// Writes activities of sessions that were active then. Sessions that the store does not know
    /// begin; one with a tombstone keeps it. Returns the places of those that it could not write, if it
    /// could write others: the servers of a cluster fail one by one.
    fn write(
        &self,
        rows: &[Unwritten],
    ) -> impl Future<Output = Result<Vec<usize>, StoreError>> + Send;

    /// Writes back some of the exchanges of refresh tokens that this node holds, if the store may have lost
    /// them. Returns whether there are more.
    fn write_back_some(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Removes what has expired, by the store's clock. Returns whether there may be more.
    fn clean(&self, now: Timestamp) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What the store has of a session.
#[derive(Clone, Copy)]
pub(in crate::store) enum Known {
    Nothing,
    Active(Timestamp),
    Ended,
}

/// What was read of a session.
#[derive(Clone, Copy)]
pub(in crate::store) enum Row {
    Active { last_seen: Timestamp, idle: Duration },
    Ended { until: Timestamp },
}

/// Returns the answer to a touch that this node knows.
pub(in crate::store) fn touch_cached(
    node: &NodeState,
    keys: SessionKeys,
    touch: Touch,
) -> Option<TouchOutcome> {
    match node.node_cache.touch(keys, touch) {
        CachedTouch::Ended => Some(TouchOutcome::Ended),
        CachedTouch::Active(before) => Some(TouchOutcome::Active(before)),
        CachedTouch::Idle(last_activity) => Some(TouchOutcome::Idle(last_activity)),
        CachedTouch::Ask => None,
    }
}

impl NodeState {
    /// Caches what was read of a session, if there is room.
    pub(in crate::store) fn remember(
        &self,
        session: StoreKey,
        row: Option<Row>,
        read_at: Timestamp,
        generation: u32,
    ) -> Known {
        // What this node has heard of stays true, whatever the store says after a loss of data.
        let held = self.held_tombstones.until(&session).map(|until| Row::Ended { until });
        match held.or(row) {
            None => {
                let stored = Stored { last_seen: None, idle: Duration::ZERO, generation, read_at };
                self.node_cache.remember(session, stored);
                Known::Nothing
            }
            Some(Row::Ended { until }) => {
                self.node_cache.end(session, until, read_at);
                Known::Ended
            }
            Some(Row::Active { last_seen, idle }) => {
                let stored = Stored { last_seen: Some(last_seen), idle, generation, read_at };
                let is_active = self.node_cache.remember(session, stored);
                if is_active { Known::Active(last_seen) } else { Known::Ended }
            }
        }
    }

    /// Returns the answer to a touch of which the store knows this, and nothing is cached.
    fn touch_known(&self, keys: SessionKeys, touch: Touch, known: Known) -> TouchOutcome {
        let stored = match known {
            Known::Ended => return TouchOutcome::Ended,
            Known::Nothing if touch.known_only => return TouchOutcome::Unknown,
            Known::Nothing => None,
            Known::Active(at) => Some(self.node_cache.last_seen(&keys.session, at)),
        };
        let lost = self.node_cache.lost_activity();
        let last_activity = stored.map_or(touch.unknown_activity, |at| {
            lost.last_activity(at, touch.unknown_activity).max(touch.token_activity)
        });
        if touch.now >= last_activity + touch.idle {
            return TouchOutcome::Idle(last_activity);
        }
        if self.node_cache.record(keys, touch) {
            TouchOutcome::Active(stored)
        } else {
            TouchOutcome::Ended
        }
    }
}

pub(in crate::store) async fn touch<S: SharedStore>(
    store: &Arc<S>,
    keys: SessionKeys,
    touch: Touch,
) -> Result<TouchOutcome, StoreError> {
    let node = store.node();
    if node.node_cache.is_tombstone(&keys.session) {
        // An end is final: no reading is needed, and none may succeed.
        return Ok(TouchOutcome::Ended);
    }
    store.sync_if_stale().await?;
    // Of concurrent requests of a session the first reads the store, and the others find its answer
    // in the cache.
    let known = || touch_cached(node, keys, touch);
    let turn = match node.turns_of(&keys.session).next_unless(known).await {
        First::Left(outcome) => return Ok(outcome),
        First::Right(turn) => turn,
    };
    let known = store.read(keys, touch.now, turn).await?;
    if let Some(outcome) = touch_cached(node, keys, touch) {
        return Ok(outcome);
    }
    // The cache has no room, or was invalidated since.
    Ok(node.touch_known(keys, touch, known))
}

pub(in crate::store) async fn get<S: SharedStore>(
    store: &Arc<S>,
    keys: SessionKeys,
) -> Result<StoredSession, StoreError> {
    let node = store.node();
    if node.node_cache.is_tombstone(&keys.session) {
        return Ok(StoredSession::Ended);
    }
    store.sync_if_stale().await?;
    let known = || node.node_cache.get(&keys.session, node.clock.now());
    let turn = match node.turns_of(&keys.session).next_unless(known).await {
        First::Left(stored) => return Ok(stored),
        First::Right(turn) => turn,
    };
    let now = node.clock.now();
    let known = store.read(keys, now, turn).await?;
    // The cache may know of a later activity, or of a tombstone that is committed since.
    Ok(node.node_cache.get(&keys.session, now).unwrap_or(match known {
        Known::Nothing => StoredSession::Unknown,
        Known::Active(at) => {
            let last_seen = node.node_cache.last_seen(&keys.session, at);
            node.node_cache.lost_activity().stored(last_seen)
        }
        Known::Ended => StoredSession::Ended,
    }))
}

/// Writes the activities that are due at `now`.
pub(in crate::store) async fn write_activities<S: SharedStore>(
    store: &S,
    now: Timestamp,
) -> Result<(), StoreError> {
    let node = store.node();
    let _lock = node.writing.lock().await;
    loop {
        // Behind those that are due already, which a server may take that does not fail.
        let again_at = node.clock.now() + WRITE_INTERVAL;
        let batch = node.node_cache.take_due(now, again_at, PIECE);
        if batch.rows.is_empty() {
            return Ok(());
        }
        let unwritten = store.write(&batch.rows).await?;
        batch.set_written(&unwritten);
    }
}

/// Writes every activity that is not written yet.
pub(in crate::store) async fn flush<S: SharedStore>(store: &Arc<S>) -> Result<(), StoreError> {
    store.sync_if_stale().await?;
    write_activities(&**store, Timestamp::MAX).await
}

/// Reads and applies the changes of other nodes, and notes an outage.
async fn read_changes<S: SharedStore + ?Sized>(store: &S) -> Result<(), StoreError> {
    let node = store.node();
    let (read_before, begun) = (node.synced_at(), node.clock.now());
    let read = store.sync().await;
    node.note_reading(read_before, begun, read.is_ok());
    read
}

/// Reads the changes of other nodes if that `is_due`, then writes the activities that are due: first of
/// all when the store is back after an outage.
async fn keep_up<S: SharedStore>(store: &S, is_due: bool) -> Result<(), StoreError> {
    if is_due {
        read_changes(store).await?;
    }
    write_activities(store, store.node().clock.now()).await?;
    // Not longer than a step may take: then other nodes' changes are read.
    let step = Stopwatch::start();
    while store.node().held_exchanges.are_due()
        && step.elapsed() < STEP_TIME
        && store.write_back_some().await?
    {}
    Ok(())
}

/// How long the background task waits: up to a quarter less than the interval, at random, so that nodes
/// that one event has put in step do not stay in step.
fn pause(between: Duration) -> Duration {
    let longest = between.min(WRITE_INTERVAL);
    longest.saturating_sub(jitter(longest / 4))
}

/// Syncs, writes activities and removes what has expired until the store is dropped. Goes on through
/// an outage, in which requests get errors.
pub(in crate::store) async fn keep_up_to_date<S: SharedStore>(
    store: Weak<S>,
    clock: Arc<dyn Clock>,
    every: Duration,
) {
    // So that each reading ends within `every` of the one before.
    let between = every.saturating_sub(STEP_TIME).max(every / 2);
    let mut synced_at = clock.now();
    let mut clean_at = synced_at + CLEANUP_INTERVAL;
    let mut has_failed = false;
    let Some(pushed) = store.upgrade().map(|store| Arc::clone(&store.node().pushed)) else {
        return;
    };
    loop {
        let interval = clock.sleep_until(clock.now() + pause(between));
        let is_pushed = matches!(race(interval, pushed.notified()).await, First::Right(()));
        if is_pushed {
            // What is pushed meanwhile is read by one reading.
            tokio::time::sleep(PUSH_PAUSE).await;
        }
        let Some(store) = store.upgrade() else { return };
        let now = clock.now();
        // A clock that was set back does not delay the next reading. After a failure a node reads before
        // it writes, and does not wait for the next interval.
        let is_due = is_pushed || has_failed || now < synced_at || now >= synced_at + between;
        if is_due {
            synced_at = now;
        }
        if let Err(error) = keep_up(&*store, is_due).await {
            if !has_failed {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the session store is not up to date");
            }
            has_failed = true;
            continue;
        }
        has_failed = false;
        let node = store.node();
        if is_due && now >= clean_at {
            // By the clock of the store: that of this node may be ahead.
            let store_now = node.store_clock.store_time(now);
            node.remove_expired(store_now - GRACE);
            // If there may be more to remove, the next interval goes on.
            if !store.clean(store_now).await.unwrap_or(true) {
                clean_at = now + CLEANUP_INTERVAL;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p39_nodes_do_not_poll_in_step() {
        let mut pauses: Vec<_> = (0..100).map(|_| pause(Duration::from_millis(800))).collect();
        pauses.sort_unstable();
        assert!(pauses[0] >= Duration::from_millis(150) && pauses[99] <= WRITE_INTERVAL);
        pauses.dedup();
        assert!(pauses.len() > 9);
        assert!(pause(Duration::from_millis(1)) > Duration::ZERO);
    }
}
