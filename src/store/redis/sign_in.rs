//! How a session begins, and ends others of its subject.

use std::{sync::Arc, time::Duration};

use futures_util::future::{join, try_join};

use super::{
    Inner,
    answer::{Args, array, bytes, int},
    endings::{Ending, too_many},
    failure::Failure,
    lease::Lease,
    lists::After,
    logs::LogRow,
    record::{Record, Stored},
    script::Script,
    unpublished_ending::UnpublishedEnding,
};
use crate::{
    audit::AuditRecord,
    identity::{Scope, SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{
        RefreshQuery, RefreshState, ReplacedSession, SessionLimit, SessionRecord, SignIn,
        SignInOutcome, SignedIn, Tombstone,
        node::{Change, GRACE},
        node_cache,
        node_cache::touch_interval,
        session_limit::CountedSession,
        tombstone::MAX_UNFOLDED,
    },
    time::Timestamp,
};

static BEGIN: Script = Script::new(concat!(
    include_str!("scripts/append.lua"),
    include_str!("scripts/user.lua"),
    include_str!("scripts/begin.lua")
));
/// The most sessions of a limit: one more begins before those beyond it end.
const MAX_COUNTED: u32 = MAX_RECORDS - 1;

/// The most records of one user. For one more the record of the least active session is removed: the
/// session goes on without, judged by its token.
const MAX_RECORDS: u32 = 1000;

/// What `begin.lua` answers where no record has begun.
const ENDED: i64 = 0;
const PRESENT: i64 = 2;
const FULL: i64 = 3;

/// Where a record comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A sign-in.
    Begun,
    /// A token of a session without a record.
    Token,
}

/// How a record begins.
#[derive(Clone, Copy)]
pub(super) struct Beginning<'a> {
    pub(super) origin: Origin,
    /// Of the log of its user.
    row: Option<&'a LogRow>,
    lease: Option<&'a Lease>,
    pub(super) replaced: Option<Replaced<'a>>,
}

/// A session that ends in the same step.
#[derive(Clone, Copy)]
pub(super) struct Replaced<'a> {
    pub(super) session: StoreKey,
    pub(super) ending: &'a Ending,
    /// Of the log of its user.
    pub(super) row: Option<&'a LogRow>,
}

/// What `begin.lua` has done.
pub(super) struct Begun {
    epoch: Timestamp,
    /// Whether the session that is replaced had no tombstone, and how many of its user can be folded.
    is_first: bool,
    many: u64,
}

impl Beginning<'_> {
    /// Of a session without a record.
    pub(super) const fn of_token() -> Self {
        Self { origin: Origin::Token, row: None, lease: None, replaced: None }
    }
}

impl Inner {
    /// Begins a session, and waits until the replicas have the ends of others, if that is set.
    pub(super) async fn begin_session(
        self: &Arc<Self>,
        sign_in: SignIn,
    ) -> Result<SignInOutcome, StoreError> {
        let outcome = self.begin_and_end_others(sign_in).await?;
        if let SignInOutcome::Begun(SignedIn { ended, .. }) = &outcome
            && !ended.is_empty()
        {
            let users: Vec<_> = ended.iter().filter_map(|audit| audit.subject.user).collect();
            // The caller needs the new session: the one that it replaces has ended.
            if let Err(error) = self.wait_for_replicas(&users).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a sign-in has ended sessions");
            }
        }
        Ok(outcome)
    }

    async fn begin_and_end_others(
        self: &Arc<Self>,
        sign_in: SignIn,
    ) -> Result<SignInOutcome, StoreError> {
        let SignIn { mut record, audit, replaces, mut limit } = sign_in;
        let _in_flight = self.calls.acquire(record.scopes.user).await;
        if let (Some(_), Some(replaced)) = (&limit, &replaces) {
            self.sync_now().await?;
            if self.state_of(replaced.query).await? != RefreshState::Revoked {
                limit = None;
            }
        }
        if let Some(limit) = limit {
            return self.begin_in_turn(record, audit, replaces, limit).await;
        }
        if let Some(replaced) = &replaces {
            self.label_as_before(&mut record, replaced).await?;
        }
        let (epoch, ends) =
            self.begin_unlimited(&mut record, &audit, None, replaces.as_ref()).await?;
        let ended = replaces.filter(|_| ends).map(|replaced| replaced.audit);
        Ok(SignInOutcome::Begun(SignedIn { epoch, ended: ended.into_iter().collect() }))
    }

    /// Begins a session under a limit, one of the subject after the other.
    async fn begin_in_turn(
        self: &Arc<Self>,
        mut record: SessionRecord,
        audit: AuditRecord,
        replaces: Option<ReplacedSession>,
        mut limit: SessionLimit,
    ) -> Result<SignInOutcome, StoreError> {
        // Sessions without a record are not counted.
        limit.max = limit.max.min(MAX_COUNTED);
        let mut ended = Vec::new();
        let _local = self.limited_sign_ins.acquire(record.scopes.subject).await;
        let lease = self.lease(record.scopes.subject).await?;
        let begun = self.begin_limited(&mut record, &audit, limit, &lease, &mut ended).await;
        self.release(&lease).await;
        let Some(epoch) = begun? else { return Ok(SignInOutcome::Refused) };
        // It has ended already, or was never known: the new session has begun whether or not this fails.
        if let Some(replaced) = replaces
            && let Ok(true) = self.end(replaced.tombstone, Some(replaced.audit.clone())).await
        {
            ended.push(replaced.audit);
        }
        Ok(SignInOutcome::Begun(SignedIn { epoch, ended }))
    }

    /// Gives a session the label of the one that it replaces, unless it has another.
    async fn label_as_before(
        &self,
        record: &mut SessionRecord,
        replaced: &ReplacedSession,
    ) -> Result<(), Failure> {
        if record.label.is_none() {
            let RefreshQuery { session, scopes, .. } = replaced.query;
            let before = self.stored(SessionKeys::new(session, scopes.user)).await?;
            let before = before.and_then(Stored::record);
            record.label = before.and_then(|before| before.session.label);
        }
        Ok(())
    }

    /// Begins a session under a limit; `None` if it is refused.
    async fn begin_limited(
        self: &Arc<Self>,
        record: &mut SessionRecord,
        audit: &AuditRecord,
        limit: SessionLimit,
        lease: &Lease,
        ended: &mut Vec<AuditRecord>,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.sync_now().await?;
        let now = record.last_seen;
        let counted = self.count(record.scopes.subject, now).await?;
        let Some(surplus) = limit.sessions_to_end(counted) else { return Ok(None) };
        let (epoch, _) = self.begin_unlimited(record, audit, Some(lease), None).await?;
        // Afterwards: a sign-in that fails signs nobody out.
        for session in surplus {
            let (tombstone, audit) = session.end(audit, &limit, now);
            match self.end(tombstone, Some(audit.clone())).await {
                Ok(true) => ended.push(audit),
                Ok(false) => {}
                Err(error) => {
                    let keys = SessionKeys::new(session.key, session.scopes.user);
                    self.end_later(keys, &tombstone, &error);
                    self.append_committed(&audit).await;
                    ended.push(audit);
                }
            }
        }
        Ok(Some(epoch))
    }

    /// Ends a session on this node, which asserts that on Redis after 30 s.
    fn end_later(&self, keys: SessionKeys, tombstone: &Tombstone, error: &StoreError) {
        let error = error as &dyn std::error::Error;
        tracing::warn!(error, "a session beyond the limit ends later");
        let (session, user, until) = (keys.session, Some(keys.user), tombstone.until);
        self.apply_own(&[Change::Revoked { session, user, until }.into()]);
    }

    /// Returns the sessions of a subject that may be active: another node writes an activity at most a
    /// touch interval after it.
    async fn count(
        &self,
        subject: StoreKey,
        now: Timestamp,
    ) -> Result<Vec<CountedSession>, StoreError> {
        let (mut counted, mut after) = (Vec::new(), None::<After>);
        loop {
            let (records, next) = self.list_piece(Scope::Subject(subject), after).await?;
            for Record { session, .. } in records {
                let last_seen = self.node_cache.last_seen(&session.key, session.last_seen);
                let idle_at = last_seen + session.idle;
                if self.may_be_active(&session, now) && now < idle_at + touch_interval(session.idle)
                {
                    counted.push(CountedSession::new(&session, last_seen, now < idle_at));
                }
            }
            after = next;
            if after.is_none() {
                return Ok(counted);
            }
        }
    }

    /// Begins a session. Its epoch becomes later than every cutoff that was raised before the call.
    /// Returns it, and whether the session that is replaced had no tombstone.
    async fn begin_unlimited(
        self: &Arc<Self>,
        record: &mut SessionRecord,
        audit: &AuditRecord,
        lease: Option<&Lease>,
        replaces: Option<&ReplacedSession>,
    ) -> Result<(Timestamp, bool), StoreError> {
        let _counting = self.counting.read().await;
        let row = self.audit_row(audit);
        let (synced, indexed) = join(self.sync_now(), self.index_rows(row.as_slice())).await;
        synced?;
        indexed?;
        let generation = self.node_cache.generation();
        let scopes = record.scopes.keys().chain([StoreKey::EVERY_SESSION]);
        let cutoffs = scopes.filter_map(|scope| self.revocations.cutoff_of(&scope));
        let folded = self.revocations.folded_of(&record.scopes.user).map(|folded| folded.last);
        if let Some(cutoff) = cutoffs.max().max(folded) {
            record.epoch = record.epoch.max(cutoff + Duration::from_millis(1));
        }
        let ending = match replaces {
            Some(before) => self.end_of_replaced(before, record.scopes.user).await?,
            None => None,
        };
        let ended_row = ending.as_ref().and(replaces).and_then(|it| self.audit_row(&it.audit));
        let now = record.last_seen;
        try_join(self.index_rows(ended_row.as_slice()), self.list(record, now)).await?;
        let log = self.keys.log('a', record.scopes.user);
        let is_here = |row: &&LogRow| row.log == log;
        let beginning = Beginning {
            origin: Origin::Begun,
            row: row.as_ref().filter(is_here),
            lease,
            replaced: ending.as_ref().zip(replaces).map(|(ending, before)| Replaced {
                session: before.query.session,
                ending,
                row: ended_row.as_ref().filter(is_here),
            }),
        };
        // Afterwards: if the session had not begun, its user needs the one that it replaces.
        let unpublished = ending.as_ref().map(|ending| UnpublishedEnding::new(self, ending.keys));
        let begun = self.put_listed(record, beginning, now).await?;
        let Some(Begun { epoch, is_first, many }) = begun else {
            if let Some(unpublished) = unpublished {
                unpublished.settle();
            }
            return Err(StoreError::new("the session was revoked before it began"));
        };
        if let (Some(ending), Some(unpublished)) = (ending, unpublished) {
            self.publish_replaced(ending, unpublished, many).await;
        }
        let elsewhere = row.into_iter().chain(ended_row.filter(|_| is_first));
        for row in elsewhere.filter(|row| row.log != log) {
            self.append_committed_row(row).await;
        }
        record.epoch = epoch;
        // The first request finds it in the cache.
        let SessionRecord { key, idle, last_seen, .. } = *record;
        let stored =
            node_cache::Stored { last_seen: Some(last_seen), idle, generation, read_at: last_seen };
        self.node_cache.remember(key, stored);
        Ok((epoch, is_first))
    }

    /// Returns how the session ends that another one of `user` replaces; `None` if it has ended.
    async fn end_of_replaced(
        &self,
        replaced: &ReplacedSession,
        user: StoreKey,
    ) -> Result<Option<Ending>, StoreError> {
        if self.is_folded(&replaced.tombstone) {
            return Ok(None);
        }
        self.prepare_end(SessionKeys::new(replaced.query.session, user), &replaced.tombstone).await
    }

    /// Writes the record of a session that has none: it is known by its token. `None` if it has ended.
    pub(super) async fn put(&self, record: &SessionRecord) -> Result<Option<Begun>, StoreError> {
        let now = self.now();
        self.list(record, now).await?;
        self.put_listed(record, Beginning::of_token(), now).await
    }

    /// Writes the record of a session that is in its lists, unless it has one, and ends the session that it
    /// replaces. `None` if it has ended.
    pub(super) async fn put_listed(
        &self,
        record: &SessionRecord,
        beginning: Beginning<'_>,
        now: Timestamp,
    ) -> Result<Option<Begun>, StoreError> {
        let Beginning { origin, row, lease, replaced } = beginning;
        let begins = origin == Origin::Begun;
        let user = record.scopes.user;
        // Of a session that replaces none the fourth key is not used.
        let other = replaced.map_or(record.key, |replaced| replaced.session);
        let [.., alone] = self.keys.session(SessionKeys::new(other, user));
        let keys =
            [&self.keys.session(record.keys())[..], &[alone, self.keys.log('a', user)]].concat();
        let life = record.ends_at.since(now.min(record.ends_at)) + GRACE;
        let mut args = Args::new().number(begins.into()).time(now).span(GRACE);
        args = args.number(MAX_RECORDS.into()).number(MAX_UNFOLDED as u64).key(record.key);
        args = args.bytes(Record::new(record.clone(), begins).pack()).life(life);
        args = match replaced {
            Some(replaced) => args.key(replaced.session).time(replaced.ending.until),
            None => args.bytes(Vec::new()).number(0),
        };
        if let Some(row) = row {
            args = row.add_to(args);
            if let Some(row) = replaced.and_then(|replaced| replaced.row) {
                args = row.add_row_to(args);
            }
        }
        let limit = lease.map(Lease::left);
        let answer = self.connection.run_within(limit, &BEGIN, &keys, args.finish()).await?;
        let mut answer = array(answer)?.into_iter();
        let mut number = || int(&answer.next().ok_or_else(Failure::unexpected_answer)?);
        let state = number()?;
        match state {
            ENDED => return Ok(None),
            FULL => return Err(too_many().into()),
            _ => {}
        }
        let epoch = Timestamp::from_millis(number()?.unsigned_abs());
        // A record that is there already is that of this command, which was sent twice.
        let is_first = number()? == 1 || (state == PRESENT && replaced.is_some());
        let many = number()?.unsigned_abs();
        // What is left over is removed with age: the session has begun.
        drop(self.unindex_audit(answer.map(bytes).collect::<Result<_, _>>()?).await);
        Ok(Some(Begun { epoch, is_first, many }))
    }
}
