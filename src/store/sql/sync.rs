//! The SQL store as one that several nodes share.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::Inner;
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        node::{Known, NodeState, SharedStore},
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

    async fn sync_if_stale(&self) -> Result<(), StoreError> {
        if self.is_up_to_date() {
            return Ok(());
        }
        let mut position = self.position.lock().await;
        // Another request may have synced while this one waited.
        if self.is_up_to_date() {
            return Ok(());
        }
        self.sync_from(&mut position).await
    }

    async fn read(
        self: &Arc<Self>,
        session: StoreKey,
        now: Timestamp,
        lock: OwnedMutexGuard<()>,
    ) -> Result<Known, StoreError> {
        self.read_session(session, now, lock).await
    }

    async fn write(&self, rows: &[Unwritten]) -> Result<(), StoreError> {
        self.write_activities(rows).await
    }

    async fn clean(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.remove_expired(now).await
    }
}
