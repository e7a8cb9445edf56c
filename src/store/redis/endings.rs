//! How sessions end: the feed first, then the tombstone; and what happens when a user has many.

use std::sync::Arc;

use std::time::Duration;

use super::{
    Inner,
    answer::{Args, array, bytes, int, strings},
    bytes::Reader,
    failure::{Failure, FailureKind},
    kept_change::{self, FeedChange},
    record::{Record, Stored},
    script::Script,
};
use crate::{
    audit::AuditRecord,
    identity::{Scope, Scopes, SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{
        FoldedTombstones, Tombstone,
        node::{Change, GRACE, STALE_AFTER, SharedStore as _},
        tombstone::{MAX_PER_USER, MAX_UNFOLDED},
    },
    time::Timestamp,
};

static END: Script = Script::new(concat!(
    include_str!("scripts/append.lua"),
    include_str!("scripts/user.lua"),
    include_str!("scripts/end.lua")
));
static FOLD: Script = Script::new(include_str!("scripts/fold.lua"));
static UNPIN: Script = Script::new(include_str!("scripts/unpin.lua"));

/// The most exemptions in one step.
const PIECE: usize = 500;

/// Kinds of tombstones: of a session that did not begin in this store, and of one that did. `unpin.lua`
/// writes a third: of one that is folded.
const NOT_BEGUN: u8 = 0;
const BEGUN: u8 = 1;

/// The length of the name of a field of a session among the tombstones of its user.
const SESSION_FIELD: usize = 16;

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
        self.end(tombstone, audit).await
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
        match self.stored(keys).await? {
            Some(Stored::Tombstone { until: before }) if until <= before => return Ok(None),
            Some(Stored::Record(found)) => {
                until = until.max(found.session.ends_at);
                record = Some(found);
            }
            Some(_) | None => self.check_room(keys.user, at).await?,
        }
        Ok(Some(Ending { keys, at, until, record }))
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
                self.fold_or_warn(record.session.scopes, ending.at).await;
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
        if let Some(row) = &row {
            self.index_row(row).await?;
        }
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
            self.append_row(&row).await?;
        }
        Ok((is_first == 1, many.unsigned_abs()))
    }

    /// Fails if the user has as many tombstones that cannot be folded as may be kept.
    async fn check_room(&self, user: StoreKey, now: Timestamp) -> Result<(), Failure> {
        let mut command = redis::cmd("HLEN");
        command.arg(self.keys.tombstones(user));
        let count = int(&self.connection.query(&command).await?)?;
        if count < i64::try_from(MAX_UNFOLDED).unwrap_or(i64::MAX) {
            return Ok(());
        }
        let kept = self.tombstones_of(user).await?;
        let others = kept.iter().filter(|it| it.kind == NOT_BEGUN && now < it.until).count();
        if others < MAX_UNFOLDED { Ok(()) } else { Err(too_many()) }
    }

    /// Folds the tombstones of a user. The session that was the reason has ended whether or not it
    /// succeeds; the next one is a reason, too.
    async fn fold_or_warn(&self, scopes: Scopes, now: Timestamp) {
        if let Err(error) = self.fold(scopes, now).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the tombstones of a user were not folded");
        }
    }

    /// Folds the tombstones of a user, of sessions that began here. Exempts the user's other sessions
    /// that have a record.
    async fn fold(&self, scopes: Scopes, now: Timestamp) -> Result<(), StoreError> {
        let user = scopes.user;
        let kept = self.tombstones_of(user).await?;
        let kept: Vec<_> = kept.into_iter().filter(|kept| kept.kind == BEGUN).collect();
        if kept.len() <= MAX_PER_USER {
            return Ok(());
        }
        // Later than any exemption of a session that has ended.
        let at = (self.revocations.latest_exemption())
            .map_or(now, |latest| now.max(latest + Duration::from_millis(1)));
        let each = kept.iter().map(|it| FoldedTombstones::new(it.epoch, it.epoch, at, it.until));
        let Some(folded) = each.reduce(FoldedTombstones::merge) else { return Ok(()) };
        // First, so that sessions which begin from now on have later epochs: the list below has all
        // others.
        let folded = self.announce_fold(user, folded, now).await?;
        let (mut exemptions, mut after) = (Vec::new(), None);
        loop {
            let (records, next) = self.list_piece(Scope::User(user), after).await?;
            exemptions.extend(records.iter().filter_map(|record| exemption(self, record, folded)));
            after = next;
            if after.is_none() {
                break;
            }
        }
        self.publish_exemptions(&exemptions).await?;
        self.apply_own(&exemptions);
        let mut changes = vec![FeedChange::from(Change::Folded { user, folded })];
        let folded = kept.iter().map(|kept| Change::TombstoneFolded { session: kept.session });
        changes.extend(folded.map(FeedChange::from));
        self.publish_and_keep(&changes, 1, &[]).await?;
        self.apply_own(&changes);
        let keys = [self.keys.tombstones(user)];
        let args = Args::new().time(now + self.sync_interval.saturating_mul(STALE_AFTER));
        let args = kept.iter().fold(args, |args, kept| args.key(kept.session));
        self.connection.run(&UNPIN, &keys, &args.finish()).await?;
        self.forget_users_of(kept.iter().map(|kept| kept.session)).await?;
        Ok(())
    }

    async fn announce_fold(
        &self,
        user: StoreKey,
        folded: FoldedTombstones,
        now: Timestamp,
    ) -> Result<FoldedTombstones, Failure> {
        let FoldedTombstones { first, last, at, until } = folded;
        let args = Args::new().time(first).time(last).time(at).time(until).time(now).finish();
        let answer = self.connection.run(&FOLD, &[self.keys.tombstones(user)], &args).await?;
        let answer = bytes(answer)?;
        let mut answer = Reader::new(&answer);
        let (first, last) = (answer.time()?, answer.time()?);
        Ok(FoldedTombstones::new(first, last, answer.time()?, answer.time()?))
    }

    /// Publishes exemptions, and keeps them.
    pub(super) async fn publish_exemptions(
        &self,
        exemptions: &[FeedChange],
    ) -> Result<(), StoreError> {
        for piece in exemptions.chunks(PIECE) {
            self.publish_and_keep(piece, piece.len(), &[]).await?;
        }
        Ok(())
    }

    async fn tombstones_of(&self, user: StoreKey) -> Result<Vec<KeptTombstone>, Failure> {
        let mut command = redis::cmd("HGETALL");
        command.arg(self.keys.tombstones(user));
        let mut fields = strings(self.connection.query(&command).await?)?.into_iter();
        let mut kept = Vec::new();
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            if field.len() != SESSION_FIELD {
                continue;
            }
            let session = Reader::new(&field).key()?;
            let mut value = Reader::new(&value);
            let (kind, epoch, until) = (value.byte()?, value.time()?, value.time()?);
            kept.push(KeptTombstone { session, kind, epoch, until });
        }
        Ok(kept)
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

/// A tombstone among those of its user.
struct KeptTombstone {
    session: StoreKey,
    kind: u8,
    epoch: Timestamp,
    until: Timestamp,
}

/// The exemption from a fold that a session of the user needs which is not revoked.
fn exemption(store: &Inner, record: &Record, folded: FoldedTombstones) -> Option<FeedChange> {
    let session = &record.session;
    let is_reached = (folded.first..=folded.last).contains(&session.epoch);
    let is_revoked =
        store.revocations.revoked_by(session.key, session.epoch, || session.scopes).is_some();
    (is_reached && !is_revoked).then(|| {
        let FoldedTombstones { at, until, .. } = folded;
        Change::Exempt { session: session.key, at, until }.into()
    })
}

pub(super) fn too_many() -> Failure {
    Failure::new(FailureKind::Answered, "too many sessions of the user have ended")
}
