//! The endings that a node reads of when it starts: it holds them as if it had heard of them.

use super::{
    Inner,
    failure::Failure,
    feed::{NO_ENTRY, Reading},
    kept_change::FeedChange,
};
use crate::store::node::{Change, NodeState};

impl Inner {
    /// Holds the tombstones that the feed still has, up to where `reading` was: some 100,000 at most. What is
    /// kept has none of them, for a session is looked up when it is needed; but if Redis loses it, somebody
    /// must know.
    pub(super) async fn read_past_endings(&self, reading: &Reading) -> Result<(), Failure> {
        let now = self.time_of_change(reading.store_now);
        let mut from = NO_ENTRY.to_vec();
        loop {
            let piece = self.read_feed(&from).await?;
            let Some(last) = piece.entries.last() else { return Ok(()) };
            from.clone_from(&last.id);
            let is_last = piece.seq <= last.seq || reading.seq <= last.seq;
            let known = |change: &FeedChange| match *change {
                FeedChange::Known(Change::Revoked { until, .. }) if until <= now => None,
                FeedChange::Known(change) => Some(change),
                _ => None,
            };
            let endings = piece.entries.iter().flat_map(|entry| &entry.changes).filter_map(known);
            NodeState::hold_past_endings(self, &endings.collect::<Vec<_>>());
            if is_last {
                return Ok(());
            }
        }
    }
}
