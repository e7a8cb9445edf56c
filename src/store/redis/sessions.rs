//! What is known of a session: reading it for requests, and writing activities.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    Inner,
    answer::{Args, int, maybe_bytes},
    failure::Failure,
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
        turns::Turn,
    },
    time::Timestamp,
};

static TOUCH: Script =
    Script::new(concat!(include_str!("scripts/user.lua"), include_str!("scripts/touch.lua")));
static READ: Script =
    Script::new(concat!(include_str!("scripts/user.lua"), include_str!("scripts/read.lua")));

/// What `touch.lua` answers for a session that has ended, and for one without a record.
const ENDED: i64 = 0;
const ACTIVITY_ALONE: i64 = 2;

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
        turn: Turn,
    ) -> Result<Known, StoreError> {
        let store = Arc::clone(self);
        let reading = tokio::spawn(async move {
            let known = store.read_into_cache(keys, now).await;
            if known.is_ok() {
                turn.end();
            }
            known
        });
        reading.await.map_err(|_| StoreError::new("the runtime is shutting down"))?
    }

    async fn write(&self, rows: &[Unwritten]) -> Result<Vec<usize>, StoreError> {
        let skew = self.skew();
        let (mut unwritten, mut failure, mut place) = (Vec::new(), None, 0);
        for piece in rows.chunks(PIECE) {
            let writes = piece.iter().map(|row| async {
                let keys = self.keys.session(row.keys);
                let args = Args::new().key(row.keys.session).time(row.last_seen).span(row.idle);
                let args = args.life(row.kept_for).number(row.presented.into());
                let args = args.bytes(skew.clone()).finish();
                match int(&self.connection.run(&TOUCH, &keys, &args).await?)? {
                    ENDED => self.end_in_cache(row.keys).await,
                    ACTIVITY_ALONE => Ok(self.place_activity(row).await?),
                    _ => Ok(()),
                }
            });
            for written in join_all(writes).await {
                if let Err(error) = written {
                    unwritten.push(place);
                    failure = Some(error);
                }
                place += 1;
            }
        }
        match failure {
            Some(error) if unwritten.len() == rows.len() => Err(error),
            _ => Ok(unwritten),
        }
    }

    async fn write_back_some(&self) -> Result<bool, StoreError> {
        // After the repairs of a loss, which the same task makes.
        Ok(false)
    }

    async fn clean(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.remove_expired(now).await
    }
}

impl Inner {
    /// Lets a session that is known by its activity alone be found by whoever knows only the session.
    async fn place_activity(&self, row: &Unwritten) -> Result<(), Failure> {
        let SessionKeys { session, user } = row.keys;
        let now = self.now();
        let bucket = self.keys.users_by_session(session);
        self.place(bucket, session, user, now, now + row.kept_for).await
    }

    /// Ends a session whose end was never published, on this node.
    async fn end_in_cache(&self, keys: SessionKeys) -> Result<(), StoreError> {
        self.read_into_cache(keys, self.now()).await?;
        self.revocations.recheck_session(&keys.session);
        Ok(())
    }

    async fn read_into_cache(
        &self,
        keys: SessionKeys,
        now: Timestamp,
    ) -> Result<Known, StoreError> {
        let mut generation = self.node_cache.generation();
        let mut stored = self.stored(keys).await?;
        // What a server says that was started anew or replaced counts with what it has lost.
        if !self.has_same_servers() {
            self.sync_now().await?;
            generation = self.node_cache.generation();
            stored = self.stored(keys).await?;
        }
        let row = stored.map(|stored| stored.row());
        let unplaced = self.unplaced_until(keys.session).map(|until| Row::Ended { until });
        Ok(self.remember(keys.session, unplaced.or(row), now, generation))
    }

    /// Returns what is known of a session.
    pub(super) async fn stored(&self, keys: SessionKeys) -> Result<Option<Stored>, Failure> {
        let args = Args::new().key(keys.session).finish();
        let value = self.connection.run(&READ, &self.keys.session(keys), &args).await?;
        maybe_bytes(value)?.map(|value| Stored::unpack(keys, &value)).transpose()
    }

    /// Returns the record of a session, whatever the user is; `None` if it has ended.
    pub(super) async fn record_of(&self, session: StoreKey) -> Result<Option<Record>, Failure> {
        let Some(user) = self.user_of(session).await? else { return Ok(None) };
        Ok(self.stored(SessionKeys::new(session, user)).await?.and_then(Stored::record))
    }

    /// Returns the user of a session that Redis knows.
    pub(super) async fn user_of(&self, session: StoreKey) -> Result<Option<StoreKey>, Failure> {
        Ok(self.users_in(self.keys.users_by_session(session), session).await?.pop())
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
