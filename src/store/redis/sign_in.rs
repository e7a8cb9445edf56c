//! How a session begins, and ends others of its subject.

use std::time::Duration;

use redis::Value;

use super::{
    Inner,
    answer::{Args, array, bytes, int},
    failure::Failure,
    lists::After,
    logs::LogRow,
    record::{Record, Stored},
    script::Script,
};
use crate::{
    audit::AuditRecord,
    clock::Stopwatch,
    identity::{Scope, SessionKeys, StoreKey},
    jitter::jitter,
    maybe_ready::StoreError,
    store::{
        RefreshQuery, RefreshState, ReplacedSession, SessionLimit, SessionRecord, SignIn,
        SignInOutcome, SignedIn, node::GRACE, node_cache, node_cache::touch_interval,
        session_limit::CountedSession,
    },
    time::Timestamp,
};

static BEGIN: Script =
    Script::new(concat!(include_str!("scripts/append.lua"), include_str!("scripts/begin.lua")));
static RELEASE_LEASE: Script = Script::new(include_str!("scripts/release_lease.lua"));

/// How long the limited sign-ins of a subject wait for one of another node that does not end.
const LEASE: Duration = Duration::from_secs(5);

/// The pause between two attempts to get the lease, and how much longer it may be.
const LEASE_PAUSE: Duration = Duration::from_millis(2);
const LEASE_JITTER: Duration = Duration::from_millis(8);

/// Where a record comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A sign-in.
    Begun,
    /// A token of a session without a record.
    Token,
}

/// The lease of a subject, under which its sign-ins are limited: on one node at a time.
pub(super) struct Lease {
    key: Vec<u8>,
    nonce: Vec<u8>,
    since: Stopwatch,
}

impl Inner {
    pub(super) async fn begin_session(&self, sign_in: SignIn) -> Result<SignInOutcome, StoreError> {
        let SignIn { mut record, audit, replaces, mut limit } = sign_in;
        let _in_flight = self.calls.acquire(record.scopes.user).await;
        if let (Some(_), Some(replaced)) = (&limit, &replaces) {
            self.sync_now().await?;
            if self.state_of(replaced.query).await? != RefreshState::Revoked {
                limit = None;
            }
        }
        let mut ended = Vec::new();
        let epoch = match limit {
            None => {
                if let Some(replaced) = &replaces {
                    self.label_as_before(&mut record, replaced).await?;
                }
                self.begin_unlimited(&mut record, &audit, None).await?
            }
            Some(limit) => {
                let _local = self.limited_sign_ins.acquire(record.scopes.subject).await;
                let lease = self.lease(record.scopes.subject).await?;
                let begun =
                    self.begin_limited(&mut record, &audit, limit, &lease, &mut ended).await;
                self.release(&lease).await;
                match begun? {
                    Some(epoch) => epoch,
                    None => return Ok(SignInOutcome::Refused),
                }
            }
        };
        if let Some(replaced) = replaces
            && self.end(replaced.tombstone, Some(replaced.audit.clone())).await?
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
        &self,
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
        for session in surplus {
            let (tombstone, audit) = session.end(audit, &limit, now);
            if self.end(tombstone, Some(audit.clone())).await? {
                ended.push(audit);
            }
        }
        self.begin_unlimited(record, audit, Some(lease)).await.map(Some)
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
    async fn begin_unlimited(
        &self,
        record: &mut SessionRecord,
        audit: &AuditRecord,
        lease: Option<&Lease>,
    ) -> Result<Timestamp, StoreError> {
        let _counting = self.counting.read().await;
        self.sync_now().await?;
        let generation = self.node_cache.generation();
        let cutoffs = record.scopes.keys().filter_map(|scope| self.revocations.cutoff_of(&scope));
        if let Some(cutoff) = cutoffs.max() {
            record.epoch = record.epoch.max(cutoff + Duration::from_millis(1));
        }
        let row = self.audit_row(audit);
        self.index_row(&row).await?;
        let is_here = row.log == self.keys.log('a', record.scopes.user);
        let epoch =
            self.put(record, Origin::Begun, Some((&row, lease)).filter(|_| is_here)).await?;
        let epoch =
            epoch.ok_or_else(|| StoreError::new("the session was revoked before it began"))?;
        if !is_here {
            self.append_row(&row).await?;
        }
        record.epoch = epoch;
        // The first request finds it in the cache.
        let SessionRecord { key, idle, last_seen, .. } = *record;
        let stored =
            node_cache::Stored { last_seen: Some(last_seen), idle, generation, read_at: last_seen };
        self.node_cache.remember(key, stored);
        Ok(epoch)
    }

    /// Writes the record of a session, unless it has one; returns its epoch, or `None` if it has ended.
    pub(super) async fn put(
        &self,
        record: &SessionRecord,
        origin: Origin,
        row: Option<(&LogRow, Option<&Lease>)>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let now = if origin == Origin::Begun { record.last_seen } else { self.now() };
        self.list(record, now).await?;
        let user = record.scopes.user;
        let keys = [
            self.keys.session(user, record.key),
            self.keys.tombstones(user),
            self.keys.log('a', user),
        ];
        let begins = origin == Origin::Begun;
        let packed = Record::new(record.clone(), begins).pack();
        let life = record.ends_at.since(now.min(record.ends_at)) + GRACE;
        let mut args = Args::new().number(begins.into()).time(now).bytes(packed).life(life);
        let mut limit = None;
        if let Some((row, lease)) = row {
            args = row.add_to(args);
            limit = lease.map(Lease::left);
        }
        let answer = self.connection.run_within(limit, &BEGIN, &keys, args.finish()).await?;
        let mut answer = array(answer)?.into_iter();
        if int(&answer.next().ok_or_else(Failure::unexpected_answer)?)? == 0 {
            return Ok(None);
        }
        let epoch = int(&answer.next().ok_or_else(Failure::unexpected_answer)?)?;
        let removed = answer.filter(|value| matches!(value, Value::BulkString(_)));
        self.unindex_audit(removed.map(bytes).collect::<Result<_, _>>()?).await?;
        Ok(Some(Timestamp::from_millis(epoch.unsigned_abs())))
    }

    /// Waits until no other node signs in under a limit.
    async fn lease(&self, subject: StoreKey) -> Result<Lease, StoreError> {
        let waiting = Stopwatch::start();
        let lease = |since| Lease {
            key: self.keys.lease(subject),
            nonce: uuid::Uuid::new_v4().as_bytes().to_vec(),
            since,
        };
        while waiting.elapsed() < LEASE {
            let lease = lease(Stopwatch::start());
            let mut command = redis::cmd("SET");
            command.arg(&lease.key).arg(&lease.nonce).arg("NX").arg("PX");
            command.arg(Args::new().life(LEASE).finish());
            if self.connection.query(&command).await? == Value::Okay {
                return Ok(lease);
            }
            tokio::time::sleep(LEASE_PAUSE + jitter(LEASE_JITTER)).await;
        }
        Err(StoreError::new("another sign-in of the subject takes too long"))
    }

    async fn release(&self, lease: &Lease) {
        let args = [lease.nonce.clone()];
        // It ends by itself.
        drop(self.connection.run(&RELEASE_LEASE, std::slice::from_ref(&lease.key), &args).await);
    }
}

impl Lease {
    /// How long it holds at least.
    fn left(&self) -> Duration {
        LEASE.saturating_sub(self.since.elapsed())
    }
}
