//! Refresh rotation.

use super::{
    Inner,
    answer::{Args, array, bytes, int},
    failure::Failure,
    feed::ATTEMPTS,
    record::{Stored, pack_exchange},
    script::Script,
};
use crate::{
    clock::Clock as _,
    identity::SessionKeys,
    maybe_ready::StoreError,
    store::{
        RefreshQuery, RefreshState, Rotated, Rotation, SessionRecord, TokenExchange,
        node::HeldExchange,
    },
    time::Timestamp,
};

static ROTATE: Script =
    Script::new(concat!(include_str!("scripts/user.lua"), include_str!("scripts/rotate.lua")));

/// What an exchange found.
pub(super) enum Exchanged {
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

    /// The state of a session of which Redis has this, with what this node knows beside it.
    fn known_state(&self, query: RefreshQuery, stored: Option<Stored>) -> RefreshState {
        let RefreshQuery { session, epoch, scopes, .. } = query;
        if self.unplaced.contains_key(&session)
            || self.revocations.revoked_by(session, epoch, || scopes).is_some()
        {
            return RefreshState::Revoked;
        }
        let stored = match stored {
            Some(Stored::Tombstone { .. }) => RefreshState::Revoked,
            None => RefreshState::Unknown(None),
            Some(Stored::Activity { last_seen, .. }) => RefreshState::Unknown(Some(last_seen)),
            Some(Stored::Record(record)) => {
                if let Some(held) = HeldExchange::read(&record.session, &record.refreshed) {
                    self.held_exchanges.hold(held);
                }
                RefreshState::Known(record.refreshed)
            }
        };
        self.node.refresh_state(&query, stored)
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
            if self.is_known_as_used(&rotation) {
                return Ok(Rotated::Refused(self.state_of(query).await?));
            }
            let found = match self.rotate(&rotation).await? {
                Exchanged::Done => {
                    self.held_exchanges.hold(HeldExchange::made(&rotation));
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
                    self.put(&rotation.record).await?;
                }
                // Its record is lost, and this node knows of an earlier exchange.
                RefreshState::Known(recorded) if rotation.may_follow(&recorded) => {
                    self.put(&rotation.record).await?;
                }
                state => return Ok(Rotated::Refused(state)),
            }
        }
        Err(StoreError::new("a session changed too often while it was refreshed"))
    }

    /// Exchanges a token, unless the session has ended or has reached the successor.
    pub(super) async fn rotate(&self, rotation: &Rotation) -> Result<Exchanged, Failure> {
        let Rotation { query, exchange, is_activity, .. } = rotation;
        let session = SessionKeys::new(query.session, query.scopes.user);
        let activity = if *is_activity { exchange.at } else { Timestamp::EPOCH };
        let generation = rotation.next_generation();
        self.raise_generation(session, (generation, exchange), activity, 0).await
    }

    /// Raises the generation of a session to one that an exchange led to, unless it has reached that.
    async fn raise_generation(
        &self,
        session: SessionKeys,
        (generation, exchange): (u32, &TokenExchange),
        activity: Timestamp,
        presented: u32,
    ) -> Result<Exchanged, Failure> {
        let keys = self.keys.session(session);
        let args = Args::new().key(session.session).number(generation.into());
        let args = args.bytes(pack_exchange(exchange)).time(activity).bytes(self.skew());
        let args = args.number(presented.into());
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

    /// Writes an exchange that this node holds, if Redis has lost it: into the record of the session, or with
    /// the record if that is lost, too. A session that has ended stays so.
    pub(super) async fn write_exchange_back(&self, held: &HeldExchange) -> Result<(), StoreError> {
        let HeldExchange { record, generation, exchange, presented } = held;
        let session = record.keys();
        let presented = self.node_cache.presented(&record.key).max(*presented);
        for _ in 0..ATTEMPTS {
            if self.held_exchanges.get(&record.key).is_none()
                || !self.may_be_active(record, self.now())
            {
                return Ok(());
            }
            let raised = (*generation, exchange);
            match self.raise_generation(session, raised, Timestamp::EPOCH, presented).await? {
                Exchanged::Refused(None | Some(Stored::Activity { .. })) => {
                    self.put(&self.up_to_date((**record).clone())).await?;
                }
                Exchanged::Done | Exchanged::Refused(_) => return Ok(()),
            }
        }
        Err(StoreError::new("a session changed too often while it was written back"))
    }

    pub(super) async fn adopt_session(&self, record: SessionRecord) -> Result<(), StoreError> {
        let _in_flight = self.calls.acquire(record.scopes.user).await;
        self.sync_now().await?;
        let stored = self.stored(record.keys()).await?;
        // A session that others know by another user has its record there.
        if matches!(stored, None | Some(Stored::Activity { .. }))
            && self.may_be_active(&record, Timestamp::EPOCH)
            && self.record_of(record.key).await?.is_none()
        {
            self.put(&record).await?;
        }
        Ok(())
    }

    /// The time of this node, for what has no instant of its own.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
