//! The SQL store as one that several nodes share.

use std::sync::Arc;

use super::{
    Inner,
    feed_reader::{ChangePosition, Changes, read_after, read_all},
};
use crate::{
    identity::SessionKeys,
    maybe_ready::StoreError,
    store::{
        node::{Change, Known, LossSign, NodeState, SharedStore},
        node_cache::Unwritten,
        turns::Turn,
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
        turn: Turn,
    ) -> Result<Known, StoreError> {
        self.read_session(keys.session, now, turn).await
    }

    async fn write(&self, rows: &[Unwritten]) -> Result<Vec<usize>, StoreError> {
        self.write_activities(rows).await?;
        Ok(Vec::new())
    }

    async fn write_back_some(&self) -> Result<bool, StoreError> {
        self.write_exchanges_back().await
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
        let mut reading = None;
        if let Some(last) = position {
            let apply = |changes: &[Change]| self.apply(changes);
            match read_after(&self.database, last, store_now, apply).await? {
                Changes::Read(read) => reading = Some(read),
                Changes::Removed => {}
                Changes::Lost => {
                    tracing::warn!("the database has lost data, or is another one");
                    self.note_loss(LossSign::Certain);
                }
            }
        }
        let is_first = position.is_none();
        let reading = if let Some(reading) = reading {
            reading
        } else {
            let all = read_all(&self.database, asked_at, store_now).await?;
            self.apply_all(&all.changes);
            self.hold_past_endings(&all.past_endings);
            *position = Some(all.position);
            all.reading
        };
        if self.database.take_replaced() || !reading.is_same_server {
            // It may be a standby that lacks the last commits of this node.
            self.note_loss(LossSign::Suspected);
        }
        let at = reading.store_now.unwrap_or(asked_at);
        let lost_at = reading.lost_at;
        if lost_at > Timestamp::EPOCH && !(is_first && self.is_past_loss(lost_at, at)) {
            self.hear_of_loss(lost_at);
        }
        self.suspect_loss(reading.suspected_at);
        if self.recover(at).await? {
            self.note_loss_at(at).await?;
        }
        self.end_loss();
        self.finish_sync(asked_at, reading.store_now)
    }
}
