//! What a node does in the background after a reading of the feed: it asserts its changes once more, and
//! compares what it holds with what Redis has. Which nodes write back at the moment.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tokio::sync::{Mutex, Notify};

use super::{Inner, kept_change::FeedChange};
use crate::{clock::Clock as _, identity::StoreKey, maybe_ready::StoreError, time::Timestamp};

/// How long a node may take to write back what it holds: others that start wait no longer.
pub(super) const LONGEST_WRITE_BACK: Duration = Duration::from_secs(60);

/// The repairs of this node, and those that it has heard of.
#[derive(Default)]
pub(super) struct Repairs {
    are_due: Arc<Notify>,
    pub(super) under_way: Mutex<()>,
    /// The nodes that write back, and until when at most, by the server's clock.
    writers: DashMap<StoreKey, Timestamp, RandomState>,
}

impl Repairs {
    /// A node writes back until then at most; zero if it has done so.
    pub(super) fn hear(&self, node: StoreKey, until: Timestamp) {
        if until == Timestamp::EPOCH {
            self.writers.remove(&node);
        } else {
            self.writers.insert(node, until);
        }
    }

    /// Whether a node writes back at `now` by the server's clock.
    pub(super) fn has_writers(&self, now: Timestamp) -> bool {
        self.writers.retain(|_, until| now < *until);
        !self.writers.is_empty()
    }
}

/// Makes repairs when they are due, until the store is dropped.
pub(super) async fn make_repairs(store: Weak<Inner>) {
    let Some(are_due) = store.upgrade().map(|store| Arc::clone(&store.repairs.are_due)) else {
        return;
    };
    loop {
        are_due.notified().await;
        let Some(store) = store.upgrade() else { return };
        if let Err(error) = store.repair().await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "what this node holds was not compared with Redis");
        }
    }
}

impl Inner {
    /// Lets the background task make the repairs that are due.
    pub(super) fn repair_soon(&self) {
        let is_suspected = self.suspicion().is_some() || self.held_exchanges.are_due();
        let are_due = self.assertions.are_due(self.clock.now()) || !self.late_rows.is_empty();
        if is_suspected || are_due || self.servers.look_is_due() {
            self.repairs.are_due.notify_one();
        }
    }

    /// Looks at the servers each minute, appends audit rows that are late, asserts what is due, and compares what this node holds with what
    /// Redis has, if that may have lost data. No request and no reading waits for it.
    ///
    /// # Errors
    /// If the slot of the feed cannot be read or written; the next reading tries again.
    pub(super) async fn repair(&self) -> Result<(), StoreError> {
        let _under_way = self.repairs.under_way.lock().await;
        if self.servers.look_is_due() {
            self.look_at_servers().await;
            if self.loss_sign().is_some() {
                self.sync_now().await?;
            }
        }
        self.append_late_rows().await;
        self.assert_due().await?;
        self.compare().await?;
        self.write_exchanges_back().await
    }

    /// Tells the nodes that start that this one writes back.
    pub(super) async fn begin_write_back(&self) -> Result<(), StoreError> {
        let change =
            self.writes_back(self.connection.server_time(&self.keys.feed()) + LONGEST_WRITE_BACK);
        self.publish_and_keep(&[change], 1, &[]).await.map(drop)
    }

    pub(super) async fn end_write_back(&self) -> Result<(), StoreError> {
        let change = self.writes_back(Timestamp::EPOCH);
        Ok(self.publish(&[change], &[], &[change.field()]).await.map(drop)?)
    }

    fn writes_back(&self, until: Timestamp) -> FeedChange {
        let node = StoreKey::from_bytes(u128::from(self.random).to_be_bytes());
        FeedChange::WritesBack { node, until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_p23_a_node_writes_back_until_it_has_done_so_or_its_time_is_over() {
        let (repairs, until) = (Repairs::default(), Timestamp::from_secs(60));
        let [one, other] = [1, 2].map(|number| StoreKey::from_bytes([number; 16]));
        repairs.hear(one, until);
        repairs.hear(other, until);
        repairs.hear(one, Timestamp::EPOCH);
        assert_eq!(repairs.writers.len(), 1);
        assert!(repairs.has_writers(until - Duration::from_millis(1)));
        assert!(!repairs.has_writers(until), "it was killed");
    }
}
