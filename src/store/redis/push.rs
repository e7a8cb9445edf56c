//! Push: a connection of its own waits for the next entry of the feed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use redis::Value;

use super::{Inner, connection::Connection};
use crate::jitter::jitter;

/// The longest wait: whoever cuts the connection silently is noticed by the missing answer.
const LONGEST_BLOCK: Duration = Duration::from_millis(250);

/// The pause after a failure, and how much longer it may be.
const PAUSE: Duration = Duration::from_millis(50);
const JITTER: Duration = Duration::from_millis(50);

/// Reads the changes of other nodes as soon as they are published, until the store is dropped. The
/// background task reads them once in a sync interval in any case.
pub(super) async fn wait_for_changes(store: Weak<Inner>, connection: Connection) {
    let block = connection.longest_block().min(LONGEST_BLOCK).as_millis().max(1);
    let block = u64::try_from(block).unwrap_or(1);
    let mut is_done = true;
    loop {
        let Some(upgraded) = store.upgrade() else { return };
        if !is_done {
            // A server that was lost may have lost data: the sooner it gets it back, the better.
            drop(upgraded.sync_now().await);
        }
        let (feed, position) = (upgraded.keys.feed(), upgraded.read_to().await);
        // Not held while the server waits.
        drop(upgraded);
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(block).arg("STREAMS").arg(feed).arg(position);
        is_done = match connection.query(&command).await {
            Ok(Value::Nil) => true,
            Ok(_) => {
                let Some(upgraded) = store.upgrade() else { return };
                upgraded.sync_now().await.is_ok()
            }
            Err(_) => false,
        };
        if !is_done {
            tokio::time::sleep(PAUSE + jitter(JITTER)).await;
        }
    }
}

impl Inner {
    /// The id of the last entry of the feed that this node has read.
    async fn read_to(self: &Arc<Self>) -> Vec<u8> {
        let position = self.position.lock().await;
        position.as_ref().map_or_else(|| b"0-0".to_vec(), |position| position.id.clone())
    }
}
