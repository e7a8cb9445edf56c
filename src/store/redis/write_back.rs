//! What a node writes back when Redis has lost data: what it holds and Redis lacks. Each step only raises
//! what it finds, so that any number of nodes may do it at once.

use std::time::Duration;

use futures_util::future::join_all;

use super::{
    Inner,
    answer::{array, maybe_bytes},
    bytes::Reader,
    endings::Room,
    failure::Failure,
    feed::{ATTEMPTS, Kept, Position, Published},
    kept_change::{self, FeedChange, LATEST_CLAIMS},
};
use crate::{
    clock::Clock as _,
    identity::{SessionKeys, StoreKey},
    jitter::jitter,
    maybe_ready::StoreError,
    store::node::{Change, LossSign},
    time::Timestamp,
};

/// The most changes in one step.
const PIECE: usize = 100;

/// A tombstone to write back.
#[derive(Clone, Copy)]
struct Lost {
    keys: SessionKeys,
    until: Timestamp,
}

impl Lost {
    fn change(&self) -> Change {
        let SessionKeys { session, user, .. } = self.keys;
        Change::Revoked { session, user: Some(user), until: self.until }
    }
}

impl Inner {
    /// Writes back what this node holds if Redis has lost data; first of all it announces the loss, so that
    /// no node that starts takes the store for a new one. What Redis may have lost is
    /// [compared](Self::repair) after the reading.
    pub(super) async fn recover(
        &self,
        id: StoreKey,
        store_now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(sign) = self.loss_sign() else { return Ok(()) };
        let at = self.time_of_change(store_now);
        if sign == LossSign::Suspected {
            self.suspect_loss(at);
            return self.announce_suspicion(id, at).await;
        }
        // It only errs late.
        self.lose_activity(at);
        if sign == LossSign::Certain {
            self.begin_loss(at);
        }
        self.begin_write_back().await?;
        if sign == LossSign::Certain {
            self.announce_loss(id, at).await?;
        }
        self.wait_for_turn().await;
        self.write_changes_back(&self.held_changes(), at).await?;
        self.end_write_back().await?;
        if sign == LossSign::Certain {
            warn_of_loss();
        }
        self.end_loss();
        Ok(())
    }

    /// Compares what this node holds with what Redis has, which may have lost data, and writes back what is
    /// missing.
    pub(super) async fn compare(&self) -> Result<(), StoreError> {
        let Some(suspicion) = self.suspicion() else { return Ok(()) };
        let at = self.time_of_change(self.store_clock.store_time(self.clock.now()));
        self.wait_for_turn().await;
        if self.write_changes_back(&self.held_changes(), at).await? {
            self.begin_loss(at);
            let id = self.position.lock().await.as_ref().map(Position::store_id);
            if let Some(id) = id {
                self.announce_loss(id, at).await?;
            }
            warn_of_loss();
        }
        self.held_exchanges.compare_all();
        self.write_exchanges_back().await?;
        self.end_suspicion(suspicion);
        Ok(())
    }

    /// Writes back the exchanges of refresh tokens that are due, as the last of all. Those that could not be
    /// written are due again.
    ///
    /// # Errors
    /// If the slot of the feed cannot be read.
    pub(super) async fn write_exchanges_back(&self) -> Result<(), StoreError> {
        let mut failed = Vec::new();
        loop {
            let piece = self.held_exchanges.take_due(PIECE);
            if piece.is_empty() {
                break;
            }
            let written = join_all(piece.iter().map(|held| self.write_exchange_back(held))).await;
            let keys = piece.iter().map(|held| held.record.key);
            let of_piece =
                keys.zip(written).filter_map(|(key, written)| written.is_err().then_some(key));
            let before = failed.len();
            failed.extend(of_piece);
            // If no slot answers, nothing is skipped.
            if before < failed.len()
                && let Err(failure) = self.kept(&[LATEST_CLAIMS.to_vec()]).await
            {
                self.held_exchanges.put_back(failed);
                return Err(failure.into());
            }
        }
        self.held_exchanges.put_back(failed);
        Ok(())
    }

    /// Announces a loss in the feed, unless another node has.
    pub(super) async fn announce_loss(
        &self,
        id: StoreKey,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.announce(FeedChange::Lost { id, at }, at).await
    }

    /// Announces a suspicion in the feed, for nodes that start later, unless another node has.
    async fn announce_suspicion(&self, id: StoreKey, at: Timestamp) -> Result<(), StoreError> {
        self.announce(FeedChange::Suspected { id, at }, at).await
    }

    async fn announce(&self, change: FeedChange, at: Timestamp) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let before = self.kept(&[change.field()]).await?.concat();
            let announced = FeedChange::unpack(&before)?;
            if let Some(
                FeedChange::Lost { at: announced, .. }
                | FeedChange::Suspected { at: announced, .. },
            ) = announced.first()
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
        let is_exemption = |it: &FeedChange| matches!(it, FeedChange::Known(Change::Exempt { .. }));
        let (exemptions, kept): (Vec<_>, Vec<_>) = kept.into_iter().partition(is_exemption);
        // They do not tell of a loss: the node that revokes a scope removes some that others still have.
        for piece in exemptions.chunks(PIECE) {
            self.publish_and_keep(piece, piece.len(), &[]).await?;
        }
        let mut is_missing = false;
        for piece in kept.chunks(PIECE) {
            let published = self.publish_and_keep(piece, piece.len(), &[]).await?;
            is_missing |= published == Published::Done;
        }
        if let Some(number) = number {
            self.raise_latest_claims(number).await?;
        }
        tombstones.sort_unstable_by_key(|lost| *lost.keys.user.as_bytes());
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

    /// Writes the tombstones that Redis lacks. Those of a user that cannot be written are tried again after
    /// 30 s. Returns whether it has written any.
    async fn write_tombstones(&self, piece: &[Lost], now: Timestamp) -> Result<bool, StoreError> {
        let users: Vec<_> = piece.chunk_by(|it, next| it.keys.user == next.keys.user).collect();
        let read = join_all(users.iter().map(|lost| self.lacking(lost))).await;
        let (mut lacking, mut failed) = (Vec::new(), Vec::new());
        for (lost, read) in users.into_iter().zip(read) {
            match read {
                Ok(read) => lacking.extend(read),
                Err(_) => failed.extend(lost.iter().copied()),
            }
        }
        let mut is_written = false;
        if !lacking.is_empty() {
            // The feed first, as for every ending.
            let changes: Vec<_> =
                lacking.iter().map(|lost| FeedChange::from(lost.change())).collect();
            let exemptions: Vec<_> =
                lacking.iter().map(|lost| kept_change::exemption(lost.keys.session)).collect();
            self.publish(&changes, &[], &exemptions).await?;
            let writes = lacking
                .iter()
                .map(|lost| self.write_tombstone(lost.keys, lost.until, now, None, Room::OfHeld));
            for (lost, written) in lacking.iter().zip(join_all(writes).await) {
                match written {
                    Ok(_) => is_written = true,
                    Err(_) => failed.push(*lost),
                }
            }
        }
        if !failed.is_empty() {
            // If no slot answers, nothing is skipped.
            self.kept(&[LATEST_CLAIMS.to_vec()]).await?;
            tracing::warn!(
                count = failed.len(),
                "tombstones could not be written back to Redis; they are tried again"
            );
            for lost in failed {
                self.assertions.add_again(self.clock.now(), lost.change());
            }
        }
        Ok(is_written)
    }

    /// Returns those of the tombstones of one user that Redis lacks.
    async fn lacking(&self, of_user: &[Lost]) -> Result<Vec<Lost>, Failure> {
        let Some(first) = of_user.first() else { return Ok(Vec::new()) };
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys.tombstones(first.keys.user));
        for lost in of_user {
            command.arg(lost.keys.session.as_bytes());
        }
        let values = array(self.connection.query(&command).await?)?;
        let mut lacking = Vec::new();
        for (lost, value) in of_user.iter().zip(values) {
            let until = maybe_bytes(value)?.map(|value| until_of(&value)).transpose()?;
            if until.is_none_or(|until| until < lost.until) {
                lacking.push(*lost);
            }
        }
        Ok(lacking)
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

/// Until when a tombstone stands, as the tombstones of a user have it.
fn until_of(value: &[u8]) -> Result<Timestamp, Failure> {
    let mut value = Reader::new(value);
    let (_kind, _epoch) = (value.byte()?, value.time()?);
    value.time()
}

fn warn_of_loss() {
    tracing::warn!(
        "Redis has lost data; this node has written back the endings, cutoffs and account policies \
         that it knows"
    );
}
