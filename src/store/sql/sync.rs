//! How up to date a node is, and the background task that keeps it so.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Mutex;

use super::{Inner, change_feed::ChangePosition, store_clock::StoreClock};
use crate::{clock::Clock, maybe_ready::StoreError, time::Timestamp};

/// A node whose last reading is older than this many intervals reads again before it answers.
pub(super) const STALE_AFTER: u32 = 3;

/// How often expired rows are removed, unless there are many.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// What a node has read last, and when.
#[derive(Default)]
pub(super) struct SyncState {
    /// `None` until everything has been read once. Locked while changes are read, so that
    /// concurrent requests read them once.
    pub(super) position: Mutex<Option<ChangePosition>>,
    /// The instant of the last successful reading in milliseconds, plus one; zero before the
    /// first.
    synced_at: AtomicU64,
    pub(super) store_clock: StoreClock,
}

impl SyncState {
    pub(super) fn set_synced_at(&self, at: Timestamp) {
        self.synced_at.store(at.as_millis().saturating_add(1), Relaxed);
    }

    /// Nothing that was read before counts.
    pub(super) fn set_stale(&self) {
        self.synced_at.store(0, Relaxed);
    }

    fn synced_at(&self) -> Option<Timestamp> {
        self.synced_at.load(Relaxed).checked_sub(1).map(Timestamp::from_millis)
    }
}

impl Inner {
    /// Returns whether the last reading is recent. It is not if the clock has jumped since: nothing is
    /// answered by a clock that is not compared with the store's again.
    pub(super) fn is_up_to_date(&self) -> bool {
        let now = self.clock.now();
        let limit = self.sync_interval.saturating_mul(STALE_AFTER);
        self.sync_state.synced_at().is_some_and(|at| at <= now && now <= at + limit)
    }

    /// Reads the changes of other nodes, then writes the activities that are due: first of all when
    /// the database is back after an outage.
    async fn sync_and_write(&self) -> Result<(), StoreError> {
        self.sync().await?;
        self.write_activities(self.clock.now()).await
    }
}

/// Syncs, writes activities and removes expired rows until the store is dropped. Goes on through an
/// outage, in which requests get errors.
pub(super) async fn keep_up_to_date(store: Weak<Inner>, clock: Arc<dyn Clock>, every: Duration) {
    let mut clean_at = clock.now() + CLEANUP_INTERVAL;
    let mut has_warned = false;
    loop {
        clock.sleep_until(clock.now() + every).await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.sync_and_write().await {
            if !has_warned {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the session store is not up to date");
            }
            has_warned = true;
            continue;
        }
        has_warned = false;
        let now = clock.now();
        if now >= clean_at {
            // By the clock of the database: that of this node may be ahead.
            let store_now = store.sync_state.store_clock.store_time(now);
            store.revocations.remove_expired(store_now - super::cleanup::GRACE);
            store.claims_changes.remove_expired(store_now - super::cleanup::GRACE);
            // If there may be more to remove, the next interval goes on.
            if !store.clean(store_now).await.unwrap_or(true) {
                clean_at = now + CLEANUP_INTERVAL;
            }
        }
    }
}
