//! What a node writes back when Redis has lost data: what it holds and Redis lacks. Each step only raises
//! what it finds, so that any number of nodes may do it at once.

use std::time::Duration;

use super::{
    Inner,
    endings::Room,
    feed::{ATTEMPTS, Kept, Published},
    join_all::join_all,
    kept_change::{self, FeedChange, LATEST_CLAIMS},
    record::Stored,
};
use crate::{
    clock::Clock as _,
    identity::{SessionKeys, StoreKey},
    jitter::jitter,
    maybe_ready::StoreError,
    store::node::Change,
    time::Timestamp,
};

/// The most changes in one step.
const PIECE: usize = 100;

/// A tombstone to write back.
struct Lost {
    keys: SessionKeys,
    until: Timestamp,
}

impl Inner {
    /// Announces a loss in the feed, unless another node has.
    pub(super) async fn announce_loss(
        &self,
        id: StoreKey,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let change = FeedChange::Lost { id, at };
        for _ in 0..ATTEMPTS {
            let before = self.kept(&[kept_change::loss(id)]).await?.concat();
            let announced = FeedChange::unpack(&before)?;
            if let Some(FeedChange::Lost { at: announced, .. }) = announced.first()
                && at.since(*announced) < self.sync_interval
            {
                return Ok(());
            }
            let kept = Kept::new(change, before);
            if self.publish(&[change], &[kept], &[]).await? != Published::Changed {
                return Ok(());
            }
        }
        Err(StoreError::new("losses of data were announced too often at the same time"))
    }

    /// Writes what Redis lacks of `changes` and is needed at `now`, and publishes it. Returns whether it
    /// lacked any.
    pub(super) async fn write_changes_back(
        &self,
        changes: &[Change],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (mut kept, mut tombstones, mut number) = (Vec::new(), Vec::new(), None);
        for change in changes {
            match *change {
                Change::Revoked { session, user: Some(user), until } if now < until => {
                    tombstones.push(Lost { keys: SessionKeys::new(session, user), until });
                }
                Change::Revoked { session, user: None, until } => {
                    kept.push(FeedChange::revoked_unplaced(session, until));
                }
                Change::Revoked { .. } => {}
                change => {
                    if let Change::Claims { number: own, .. } = change {
                        number = number.max(Some(own));
                    }
                    kept.push(change.into());
                }
            }
        }
        kept.retain(|change| change.until().is_none_or(|until| now < until));
        let mut is_missing = false;
        for piece in kept.chunks(PIECE) {
            let published = self.publish_and_keep(piece, piece.len(), &[]).await?;
            // The node that revokes a scope removes exemptions that others still have.
            let counts = |it: &FeedChange| !matches!(it, FeedChange::Known(Change::Exempt { .. }));
            is_missing |= published == Published::Done && piece.iter().any(counts);
        }
        if let Some(number) = number {
            self.raise_latest_claims(number).await?;
        }
        // Nodes that write back at the same time begin at different ones.
        if !tombstones.is_empty() {
            let count = Duration::from_millis(tombstones.len() as u64);
            let first = usize::try_from(jitter(count).as_millis()).unwrap_or_default();
            tombstones.rotate_left(first);
        }
        for piece in tombstones.chunks(PIECE) {
            is_missing |= self.write_tombstones(piece, now).await?;
        }
        Ok(is_missing)
    }

    async fn write_tombstones(&self, piece: &[Lost], now: Timestamp) -> Result<bool, StoreError> {
        let stored = join_all(piece.iter().map(|lost| self.stored(lost.keys))).await;
        let mut lacking = Vec::new();
        for (lost, stored) in piece.iter().zip(stored) {
            let is_there =
                matches!(stored?, Some(Stored::Tombstone { until }) if lost.until <= until);
            if !is_there {
                lacking.push(lost);
            }
        }
        if lacking.is_empty() {
            return Ok(false);
        }
        // The feed first, as for every ending.
        let change = |lost: &&Lost| {
            let SessionKeys { session, user, .. } = lost.keys;
            FeedChange::from(Change::Revoked { session, user: Some(user), until: lost.until })
        };
        let changes: Vec<_> = lacking.iter().map(change).collect();
        let exemptions: Vec<_> =
            lacking.iter().map(|lost| kept_change::exemption(lost.keys.session)).collect();
        self.publish(&changes, &[], &exemptions).await?;
        let writes = lacking
            .iter()
            .map(|lost| self.write_tombstone(lost.keys, lost.until, now, None, Room::OfHeld));
        for written in join_all(writes).await {
            written?;
        }
        Ok(true)
    }

    /// Raises the latest claims number of all scopes: a later change has a greater one.
    async fn raise_latest_claims(&self, number: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let latest = self.kept(&[LATEST_CLAIMS.to_vec()]).await?.concat();
            let present = latest.first_chunk().map_or(0, |latest| u64::from_be_bytes(*latest));
            if number.as_millis() <= present {
                return Ok(());
            }
            let kept = Kept::latest_claims(number, latest);
            if self.publish(&[], &[kept], &[]).await? != Published::Changed {
                return Ok(());
            }
        }
        Err(StoreError::new("claims changed too often at the same time"))
    }

    /// The instant of a change that the store makes: by its clock, if this node's can be compared with it.
    pub(super) fn time_of_change(&self, store_now: Timestamp) -> Timestamp {
        if self.clock.is_time_of_day() { store_now } else { self.clock.now() }
    }
}
