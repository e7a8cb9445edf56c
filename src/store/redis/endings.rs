//! How sessions end: the feed first, then the tombstone.

use std::sync::Arc;

use super::{
    Inner,
    answer::{Args, array, bytes, int},
    failure::{Failure, FailureKind},
    kept_change::{self, FeedChange},
    record::{Record, Stored},
    script::Script,
};
use crate::{
    audit::AuditRecord,
    identity::SessionKeys,
    maybe_ready::StoreError,
    store::{
        Tombstone,
        node::{Change, GRACE, SharedStore as _},
        tombstone::{MAX_PER_USER, MAX_UNFOLDED},
    },
    time::Timestamp,
};

static END: Script = Script::new(concat!(
    include_str!("scripts/append.lua"),
    include_str!("scripts/user.lua"),
    include_str!("scripts/end.lua")
));
static ROOM: Script =
    Script::new(concat!(include_str!("scripts/user.lua"), include_str!("scripts/room.lua")));

/// How many tombstones of a user that cannot be folded a step may find.
#[derive(Clone, Copy)]
pub(super) enum Room {
    /// As many as are kept of a user.
    OfUser,
    /// With those that could be folded before Redis lost the records of their sessions.
    OfHeld,
}

impl Room {
    const fn of_unfolded(self) -> u64 {
        match self {
            Self::OfUser => MAX_UNFOLDED as u64,
            Self::OfHeld => (MAX_UNFOLDED + MAX_PER_USER) as u64,
        }
    }
}

impl Inner {
    /// Returns whether the session had no tombstone; only then writes `audit`.
    pub(super) async fn revoke(
        self: &Arc<Self>,
        tombstone: Tombstone,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let user_of_audit = audit.as_ref().and_then(|audit| audit.subject.user);
        let owner = tombstone.user.or(user_of_audit).unwrap_or(tombstone.session);
        let _in_flight = self.calls.acquire(owner).await;
        self.sync_if_stale().await?;
        let is_first = self.end(tombstone, audit).await?;
        // Its user is in the directory now, if it has one.
        let user = match tombstone.user {
            None if self.replicas.are_waited_for() => self.user_of(tombstone.session).await?,
            user => user,
        };
        self.wait_for_replicas(user.as_slice()).await?;
        Ok(is_first)
    }

    pub(super) async fn end(
        &self,
        tombstone: Tombstone,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        if self.is_folded(&tombstone) {
            return Ok(false);
        }
        let Tombstone { session, at, .. } = tombstone;
        let user = match tombstone.user {
            Some(user) => Some(user),
            None => self.user_of(session).await?,
        };
        let Some(user) = user else { return self.end_unplaced(tombstone, audit).await };
        let keys = SessionKeys::new(session, user);
        let Some(ending) = self.prepare_end(keys, &tombstone).await? else { return Ok(false) };
        self.publish_end(&ending).await?;
        if ending.record.is_none() {
            // Whoever ends it again may not know its user.
            let bucket = self.keys.users_by_session(session);
            self.place(bucket, session, user, at, ending.until + GRACE).await?;
        }
        let was_unplaced = self.unplaced.contains_key(&session);
        let audit = audit.filter(|_| !was_unplaced);
        let (is_first, many) =
            self.write_tombstone(keys, ending.until, at, audit, Room::OfUser).await?;
        self.finish_end(ending, many).await;
        Ok(is_first && !was_unplaced)
    }

    /// Returns how a session ends; `None` if it has ended for that long.
    pub(super) async fn prepare_end(
        &self,
        keys: SessionKeys,
        tombstone: &Tombstone,
    ) -> Result<Option<Ending>, StoreError> {
        let at = tombstone.at;
        let (mut until, mut record) = (tombstone.until, None);
        let (has_room, stored) = self.stored_with_room(keys, at).await?;
        match stored {
            Some(Stored::Tombstone { until: before }) if until <= before => {
                // Another node has ended it, or an earlier call whose answer was lost: this node may not
                // have read of it.
                let SessionKeys { session, user } = keys;
                self.apply(&[Change::Revoked { session, user: Some(user), until: before }]);
                return Ok(None);
            }
            _ if !has_room => return Err(too_many().into()),
            Some(Stored::Record(found)) => {
                until = until.max(found.session.ends_at);
                record = Some(found);
            }
            _ => {}
        }
        Ok(Some(Ending { keys, at, until, record }))
    }

    /// Returns whether there is room for the tombstone of a session, and what is known of it.
    async fn stored_with_room(
        &self,
        keys: SessionKeys,
        now: Timestamp,
    ) -> Result<(bool, Option<Stored>), Failure> {
        let args = Args::new().key(keys.session).time(now).span(GRACE);
        let args = args.number(Room::OfUser.of_unfolded()).finish();
        let answer = array(self.connection.run(&ROOM, &self.keys.session(keys), &args).await?)?;
        let [has_room, known] = answer.try_into().map_err(|_| Failure::unexpected_answer())?;
        let known = bytes(known)?;
        let stored = (!known.is_empty()).then(|| Stored::unpack(keys, &known)).transpose()?;
        Ok((int(&has_room)? == 1, stored))
    }

    /// Tells other nodes that a session ends.
    pub(super) async fn publish_end(&self, ending: &Ending) -> Result<(), Failure> {
        let exemption = kept_change::exemption(ending.keys.session);
        self.publish(&[ending.change()], &[], &[exemption]).await.map(drop)
    }

    /// Applies to this node that a session has ended, whose tombstone is written; `many` of its user can be
    /// folded.
    pub(super) async fn finish_end(&self, ending: Ending, many: u64) {
        self.apply_own(&[ending.change()]);
        if let Some(record) = ending.record {
            // What is left over is removed with age.
            drop(self.unlist(&record.session).await);
            if many > MAX_PER_USER as u64 {
                self.fold_or_warn(record.session.scopes.user, ending.at).await;
            }
        }
    }

    /// Returns whether the session had no tombstone, and how many of its user can be folded.
    pub(super) async fn write_tombstone(
        &self,
        keys: SessionKeys,
        until: Timestamp,
        at: Timestamp,
        audit: Option<AuditRecord>,
        room: Room,
    ) -> Result<(bool, u64), Failure> {
        let row = audit.and_then(|audit| self.audit_row(&audit));
        self.index_rows(row.as_slice()).await?;
        let log = row.as_ref().map_or_else(|| self.keys.log('a', keys.user), |row| row.log.clone());
        let own_log = self.keys.log('a', keys.user);
        // The row is in the same step if it is in the slot of the user.
        let is_here = log == own_log;
        let script_keys = [&self.keys.session(keys)[..], &[own_log]].concat();
        let args = Args::new().key(keys.session).time(until).time(at).span(GRACE);
        // The same command is the first one again, if a client sends it twice.
        let (nonce, _) = uuid::Uuid::new_v4().as_u64_pair();
        let mut args = args.number(room.of_unfolded()).number((nonce >> 32).max(1));
        if let Some(row) = row.as_ref().filter(|_| is_here) {
            args = row.add_to(args);
        }
        let answer = self.connection.run(&END, &script_keys, &args.finish()).await?;
        let mut answer = array(answer)?.into_iter();
        let is_first = int(&answer.next().ok_or_else(Failure::unexpected_answer)?)?;
        if is_first < 0 {
            return Err(too_many());
        }
        let many = int(&answer.next().ok_or_else(Failure::unexpected_answer)?)?;
        let removed = answer.map(bytes).collect::<Result<Vec<_>, _>>()?;
        self.unindex_audit(removed).await?;
        if is_first == 1
            && let Some(row) = row.filter(|_| !is_here)
        {
            self.append_committed_row(row).await;
        }
        Ok((is_first == 1, many.unsigned_abs()))
    }
}

/// How a session ends.
pub(super) struct Ending {
    pub(super) keys: SessionKeys,
    at: Timestamp,
    /// Until when its tombstone stands.
    pub(super) until: Timestamp,
    record: Option<Box<Record>>,
}

impl Ending {
    pub(super) fn change(&self) -> FeedChange {
        let SessionKeys { session, user } = self.keys;
        Change::Revoked { session, user: Some(user), until: self.until }.into()
    }
}

pub(super) fn too_many() -> Failure {
    Failure::new(FailureKind::Answered, "too many sessions of the user have ended")
}
