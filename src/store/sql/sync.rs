//! How up to date a node is, and the task that keeps it so.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::Mutex;

use super::{Inner, change_feed::ChangePosition};
use crate::{clock::Clock, time::Timestamp};

/// How many intervals a node may hear nothing before it asks first and answers then.
const STALE_AFTER: u32 = 3;

/// How often the database is cleared of what is over, where little is.
const CLEANING_INTERVAL: Duration = Duration::from_secs(60);

/// What was heard last, and when.
#[derive(Default)]
pub(super) struct SyncState {
    /// None until everything was read once. Held while news are read, so that one asks for all.
    pub(super) place: Mutex<Option<ChangePosition>>,
    /// One more than the milliseconds of the last successful reading; zero before the first.
    at: AtomicU64,
}

impl SyncState {
    pub(super) fn note(&self, at: Timestamp) {
        self.at.store(at.as_millis().saturating_add(1), Relaxed);
    }

    fn at(&self) -> Option<Timestamp> {
        self.at.load(Relaxed).checked_sub(1).map(Timestamp::from_millis)
    }
}

impl Inner {
    /// Whether this node has heard of late. A clock that was set back makes it ask, too.
    pub(super) fn is_up_to_date(&self) -> bool {
        let now = self.clock.now();
        let limit = self.sync_interval.saturating_mul(STALE_AFTER);
        self.sync_state.at().is_some_and(|at| at <= now && now <= at + limit)
    }
}

/// Listens and cleans until the store is gone. An outage is waited for: those who ask meanwhile
/// are told.
pub(super) async fn keep_up_to_date(store: Weak<Inner>, clock: Arc<dyn Clock>, every: Duration) {
    let mut clean_at = clock.now() + CLEANING_INTERVAL;
    let mut is_told = false;
    loop {
        clock.sleep_until(clock.now() + every).await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.sync().await {
            if !is_told {
                tracing::warn!(cause = ?error, "the session store does not apply of revocations");
            }
            is_told = true;
            continue;
        }
        is_told = false;
        let now = clock.now();
        if now >= clean_at {
            store.revocations.remove_expired(now - super::cleanup::GRACE);
            // Where more is left, the next step is taken at the next turn.
            if !store.clean(now).await.unwrap_or(true) {
                clean_at = now + CLEANING_INTERVAL;
            }
        }
    }
}
