//! Refresh rotation.

use super::{
    Inner,
    answer::{Args, array, bytes, int},
    failure::Failure,
    feed::ATTEMPTS,
    record::{Record, Stored, pack_exchange},
    script::Script,
    sign_in::Beginning,
};
use crate::{
    clock::Clock as _,
    identity::SessionKeys,
    maybe_ready::StoreError,
    store::{RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation, SessionRecord},
    time::Timestamp,
};

static ROTATE: Script =
    Script::new(concat!(include_str!("scripts/user.lua"), include_str!("scripts/rotate.lua")));

/// What an exchange found.
enum Exchanged {
    Done,
    Refused(Option<Stored>),
}

impl Inner {
    pub(super) async fn state(&self, query: RefreshQuery) -> Result<RefreshState, StoreError> {
        let _in_flight = self.calls.acquire(query.scopes.user).await;
        self.sync_now().await?;
        self.check_refresh()?;
        self.state_of(query).await
    }

    /// Returns the state of a session. The changes of other nodes must be read before.
    pub(super) async fn state_of(&self, query: RefreshQuery) -> Result<RefreshState, StoreError> {
        let stored = self.stored(SessionKeys::new(query.session, query.scopes.user)).await?;
        Ok(self.known_state(query, stored))
    }

    fn known_state(&self, query: RefreshQuery, stored: Option<Stored>) -> RefreshState {
        let RefreshQuery { session, epoch, scopes } = query;
        if self.unplaced.contains_key(&session)
            || self.revocations.revoked_by(session, epoch, || scopes).is_some()
        {
            return RefreshState::Revoked;
        }
        match stored {
            Some(Stored::Tombstone { .. }) => RefreshState::Revoked,
            None => RefreshState::Unknown(None),
            Some(Stored::Activity { last_seen, .. }) => RefreshState::Unknown(Some(last_seen)),
            Some(Stored::Record(record)) => RefreshState::Known(self.refreshed(&record)),
        }
    }

    /// This node may know of an activity that it has not written yet.
    fn refreshed(&self, record: &Record) -> RefreshedSession {
        let (session, refreshed) = (&record.session.key, &record.refreshed);
        RefreshedSession {
            last_seen: self.node_cache.last_seen(session, refreshed.last_seen),
            presented: self.node_cache.presented(session).max(refreshed.presented),
            ..refreshed.clone()
        }
    }

    pub(super) async fn exchange(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let query = rotation.query;
        let _in_flight = self.calls.acquire(query.scopes.user).await;
        self.sync_now().await?;
        self.check_refresh()?;
        for _ in 0..ATTEMPTS {
            if let state @ RefreshState::Revoked = self.known_state(query, None) {
                return Ok(Rotated::Refused(state));
            }
            let found = match self.rotate(&rotation).await? {
                Exchanged::Done => {
                    if rotation.is_activity {
                        let at = rotation.exchange.at;
                        self.node_cache.record_written(&query.session, at);
                    }
                    return Ok(Rotated::Done);
                }
                Exchanged::Refused(found) => found,
            };
            match self.known_state(query, found) {
                RefreshState::Unknown(_) => {
                    self.put(&rotation.record, Beginning::of_token()).await?;
                }
                state => return Ok(Rotated::Refused(state)),
            }
        }
        Err(StoreError::new("a session changed too often while it was refreshed"))
    }

    async fn rotate(&self, rotation: &Rotation) -> Result<Exchanged, Failure> {
        let Rotation { query, exchange, is_activity, .. } = rotation;
        let session = SessionKeys::new(query.session, query.scopes.user);
        let keys = self.keys.session(session);
        let activity = if *is_activity { exchange.at } else { Timestamp::EPOCH };
        let args = Args::new().key(query.session).number(rotation.next_generation().into());
        let args = args.bytes(pack_exchange(exchange)).time(activity).bytes(self.skew());
        let answer = self.connection.run_in_time(&ROTATE, &keys, args.finish()).await?;
        let mut answer = array(answer)?.into_iter();
        if int(&answer.next().ok_or_else(Failure::unexpected_answer)?)? == 1 {
            return Ok(Exchanged::Done);
        }
        // A Lua table ends before its first nil.
        let found = answer.next().filter(|value| matches!(value, redis::Value::BulkString(_)));
        let found = found.map(bytes).transpose()?;
        let found = found.map(|value| Stored::unpack(session, &value)).transpose()?;
        Ok(Exchanged::Refused(found))
    }

    pub(super) async fn adopt_session(&self, record: SessionRecord) -> Result<(), StoreError> {
        let _in_flight = self.calls.acquire(record.scopes.user).await;
        self.sync_now().await?;
        let query = RefreshQuery::new(record.key, record.epoch, record.scopes);
        // A session that others know by another user has its record there.
        if let RefreshState::Unknown(_) = self.state_of(query).await?
            && self.record_of(record.key).await?.is_none()
        {
            self.put(&record, Beginning::of_token()).await?;
        }
        Ok(())
    }

    /// The time of this node, for what has no instant of its own.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
