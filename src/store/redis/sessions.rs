//! The values of sessions: reading them for requests, and writing activities.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::{
    Inner,
    answer::{Args, array, maybe_bytes},
    failure::Failure,
    join_all::join_all,
    record::{Record, Stored},
    script::Script,
};
use crate::{
    clock::Clock as _,
    identity::{SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{
        SessionRecord,
        node::{Known, NodeState, Row, SharedStore},
        node_cache::Unwritten,
    },
    time::Timestamp,
};

static TOUCH: Script = Script::new(include_str!("scripts/touch.lua"));

/// How many activities are written at the same time.
const PIECE: usize = 64;

impl SharedStore for Inner {
    fn node(&self) -> &NodeState {
        self
    }

    async fn sync(&self) -> Result<(), StoreError> {
        self.sync_now().await
    }

    async fn read(
        self: &Arc<Self>,
        keys: SessionKeys,
        now: Timestamp,
        lock: OwnedMutexGuard<()>,
    ) -> Result<Known, StoreError> {
        let store = Arc::clone(self);
        let reading = tokio::spawn(async move {
            let known = store.read_into_cache(keys, now).await;
            drop(lock);
            known
        });
        let known = reading.await.map_err(|_| StoreError::new("the runtime is shutting down"))?;
        Ok(known?)
    }

    async fn write(&self, rows: &[Unwritten]) -> Result<(), StoreError> {
        let skew = self.skew();
        for piece in rows.chunks(PIECE) {
            let writes = piece.iter().map(|row| async {
                let keys = [self.keys.session(row.keys.user, row.keys.session)];
                let args = Args::new().time(row.last_seen).span(row.idle).life(row.kept_for);
                let args = args.number(row.presented.into()).bytes(skew.clone()).finish();
                self.connection.run(&TOUCH, &keys, &args).await
            });
            for written in join_all(writes).await {
                written?;
            }
        }
        Ok(())
    }

    async fn clean(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.remove_expired(now).await
    }
}

impl Inner {
    async fn read_into_cache(&self, keys: SessionKeys, now: Timestamp) -> Result<Known, Failure> {
        let generation = self.node_cache.generation();
        let stored = self.stored(keys).await?;
        let row = stored.map(|stored| stored.row());
        let unplaced = self.unplaced.get(&keys.session).map(|until| Row::Ended { until: *until });
        Ok(self.remember(keys.session, unplaced.or(row), now, generation))
    }

    /// Returns the value of a session.
    pub(super) async fn stored(&self, keys: SessionKeys) -> Result<Option<Stored>, Failure> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.session(keys.user, keys.session));
        let value = maybe_bytes(self.connection.query(&command).await?)?;
        value.map(|value| Stored::unpack(keys.session, &value)).transpose()
    }

    /// Returns the record of a session, whatever the user is; `None` if it has ended.
    pub(super) async fn record_of(&self, session: StoreKey) -> Result<Option<Record>, Failure> {
        let Some(user) = self.user_of(session).await? else { return Ok(None) };
        Ok(self.stored(SessionKeys::new(session, user)).await?.and_then(Stored::record))
    }

    /// Returns the user of a session that has or had a record.
    pub(super) async fn user_of(&self, session: StoreKey) -> Result<Option<StoreKey>, Failure> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.user_of(session));
        let user = maybe_bytes(self.connection.query(&command).await?)?;
        let user =
            user.map(|user| user.try_into().map_err(|_| Failure::malformed())).transpose()?;
        Ok(user.map(StoreKey::from_bytes))
    }

    /// Returns the records of sessions that have one, in their order.
    pub(super) async fn records_of(&self, keys: &[SessionKeys]) -> Result<Vec<Record>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("MGET");
        for key in keys {
            command.arg(self.keys.session(key.user, key.session));
        }
        let values = array(self.connection.query(&command).await?)?;
        let mut records = Vec::new();
        for (keys, value) in keys.iter().zip(values) {
            if let Some(value) = maybe_bytes(value)? {
                records.extend(Stored::unpack(keys.session, &value)?.record());
            }
        }
        Ok(records)
    }

    /// Whether a session with a record is active.
    pub(super) fn is_active(&self, record: &SessionRecord, now: Timestamp) -> bool {
        let last_seen = self.node_cache.last_seen(&record.key, record.last_seen);
        now < last_seen + record.idle && self.may_be_active(record, now)
    }

    /// Whether a session with a record has neither ended nor reached its absolute deadline.
    pub(super) fn may_be_active(&self, record: &SessionRecord, now: Timestamp) -> bool {
        let SessionRecord { key, epoch, scopes, .. } = record;
        now < record.ends_at
            && !self.unplaced.contains_key(key)
            && self.revocations.revoked_by(*key, *epoch, || *scopes).is_none()
    }

    /// Adds the activity that this node has not written yet.
    pub(super) fn up_to_date(&self, record: SessionRecord) -> SessionRecord {
        let last_seen = self.node_cache.last_seen(&record.key, record.last_seen);
        SessionRecord { last_seen, ..record }
    }

    /// How far ahead of the server's time an activity may be, as an argument of a script.
    pub(super) fn skew(&self) -> Vec<u8> {
        if !self.clock.is_time_of_day() {
            return b"-1".to_vec();
        }
        self.store_clock.max_skew().as_millis().to_string().into_bytes()
    }
}
