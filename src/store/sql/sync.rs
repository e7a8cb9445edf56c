//! The SQL store as one that several nodes share.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::{
    Inner,
    feed_reader::{ChangePosition, read_after, read_all},
};
use crate::{
    identity::SessionKeys,
    maybe_ready::StoreError,
    store::{
        node::{Change, Known, NodeState, SharedStore},
        node_cache::Unwritten,
    },
    time::Timestamp,
};

impl SharedStore for Inner {
    fn node(&self) -> &NodeState {
        self
    }

    async fn sync(&self) -> Result<(), StoreError> {
        let mut position = self.position.lock().await;
        self.sync_from(&mut position).await
    }

    async fn read(
        self: &Arc<Self>,
        keys: SessionKeys,
        now: Timestamp,
        lock: OwnedMutexGuard<()>,
    ) -> Result<Known, StoreError> {
        self.read_session(keys.session, now, lock).await
    }

    async fn write(&self, rows: &[Unwritten]) -> Result<(), StoreError> {
        self.write_activities(rows).await
    }

    async fn clean(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.remove_expired(now).await
    }
}

impl Inner {
    async fn sync_from(&self, position: &mut Option<ChangePosition>) -> Result<(), StoreError> {
        let asked_at = self.clock.now();
        let store_now = self.database.now().filter(|_| self.clock.is_time_of_day());
        let store_now = store_now.unwrap_or("NULL");
        if let Some(last) = position {
            let apply = |changes: &[Change]| self.apply(changes);
            if let Some(reading) = read_after(&self.database, last, store_now, apply).await? {
                return self.finish_sync(asked_at, reading.store_now);
            }
        }
        let (changes, reading, last) = read_all(&self.database, asked_at, store_now).await?;
        self.apply_all(&changes);
        *position = Some(last);
        self.finish_sync(asked_at, reading.store_now)
    }
}
