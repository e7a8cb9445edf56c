//! How a session begins, and ends others of its subject in the same transaction.

use std::sync::Arc;

use super::{
    Inner, Transaction, audit_log,
    change_feed::ChangeFeed,
    database::Tx,
    failure::Failure,
    locks::Lock,
    revocation::{Revoke, RevokeSeveral},
    rotation::is_revoked,
    sessions::{RECORD, insert, not_ended, read_label, record},
    value::Args,
};
use crate::{
    audit::AuditRecord,
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        OnSessionLimit, ReplacedSession, SessionLimit, SessionRecord, SignIn, SignInOutcome,
        SignedIn,
        node::{Change, SharedStore as _},
        node_cache::Stored,
        session_limit::{CountedSession, MAX_ENDED},
    },
};

/// A sign-in as one transaction.
struct Begin<'a> {
    store: &'a Inner,
    sign_in: &'a SignIn,
    /// Whether it may end sessions. Then it publishes changes, and waits for others that do.
    may_end: bool,
}

/// What the transaction of a sign-in found.
enum Begun {
    Done(Changed),
    Refused,
    /// Nothing was changed: a session has to end.
    MustEnd,
}

/// What a sign-in changed.
struct Changed {
    signed_in: SignedIn,
    changes: Vec<Change>,
    /// The users of whom there are now more tombstones than are to be kept.
    many_of: Vec<StoreKey>,
}

impl Transaction for Begin<'_> {
    type Answer = Begun;

    async fn run(&self, tx: &mut Tx) -> Result<Begun, Failure> {
        let SignIn { record, audit, replaces, .. } = self.sign_in;
        // No cutoff is raised until this session is committed.
        tx.lock(Lock::WithOthers).await?;
        let Some(surplus) = self.surplus(tx).await? else { return Ok(Begun::Refused) };
        let replaced = replaces.as_ref().map(|ReplacedSession { tombstone, audit, .. }| {
            Revoke::new(*tombstone, Some(audit.clone()))
        });
        let mut label = record.label.clone();
        if let (None, Some(replaced)) = (&label, &replaced) {
            label = read_label(tx, replaced.tombstone.session).await?;
        }
        let ends: Vec<_> = surplus.into_iter().chain(replaced).collect();
        if !ends.is_empty() && !self.may_end {
            return Ok(Begun::MustEnd);
        }
        let (mut ended, mut changes, mut many_of) = (Vec::new(), Vec::new(), Vec::new());
        if !ends.is_empty() {
            let feed = ChangeFeed::open(tx).await?;
            let revoked = RevokeSeveral::new(&ends).write(tx).await?;
            for (revoke, revoked) in ends.into_iter().zip(revoked) {
                let revoked = revoked?;
                changes.extend(revoked.change);
                many_of.extend(revoked.many_of.filter(|user| !many_of.contains(user)));
                ended.extend(revoke.audit.filter(|_| revoked.is_first));
            }
            feed.publish(tx, &changes).await?;
        }
        let epoch = "CASE WHEN cutoff.latest >= $10 THEN cutoff.latest + 1 ELSE $10 END";
        let epoch = insert(tx, record, label.as_ref(), epoch, "1 = 1", "1").await?;
        let epoch =
            epoch.ok_or_else(|| StoreError::new("a session with this sid exists already"))?;
        audit_log::write(tx, std::slice::from_ref(audit)).await?;
        Ok(Begun::Done(Changed { signed_in: SignedIn { epoch, ended }, changes, many_of }))
    }
}

impl Begin<'_> {
    /// Returns the sessions that end because of the limit; `None` if it refuses another.
    async fn surplus(&self, tx: &mut Tx) -> Result<Option<Vec<Revoke>>, Failure> {
        let SignIn { record, audit, replaces, limit } = self.sign_in;
        let Some(limit) = limit else { return Ok(Some(Vec::new())) };
        // Of concurrent sign-ins of the subject each counts the sessions of those before it.
        tx.lock_key(record.scopes.subject).await?;
        if let Some(replaced) = replaces
            && !is_revoked(tx, replaced.query).await?
        {
            return Ok(Some(Vec::new()));
        }
        let Some(surplus) = limit.sessions_to_end(self.count(tx, limit).await?) else {
            return Ok(None);
        };
        let end = |session: CountedSession| {
            let (tombstone, audit): (_, AuditRecord) = session.end(audit, limit, record.last_seen);
            Revoke::new(tombstone, Some(audit))
        };
        Ok(Some(surplus.into_iter().map(end).collect()))
    }

    /// Returns the sessions of the subject that may be active: another node writes an activity at most
    /// a touch interval after it. If there are very many, those that end first.
    async fn count(
        &self,
        tx: &mut Tx,
        limit: &SessionLimit,
    ) -> Result<Vec<CountedSession>, Failure> {
        let SessionRecord { scopes, last_seen: now, .. } = self.sign_in.record;
        let first = match limit.on_limit {
            OnSessionLimit::LeastActive => "last_seen",
            OnSessionLimit::Oldest | OnSessionLimit::Refuse => "auth_time",
        };
        let not_ended = not_ended("$2");
        let sql = format!(
            "SELECT {RECORD} FROM tss_sessions AS s
            WHERE s.subject_key = $1 AND {not_ended} AND $2 < s.last_seen + s.idle
                + CASE WHEN s.idle < 3600000 THEN s.idle / 60 ELSE 60000 END
            ORDER BY s.{first}, s.epoch, s.key LIMIT $3"
        );
        let rows = i64::from(limit.max) + i64::from(MAX_ENDED);
        let args = Args::new().key(scopes.subject).time(now).int(rows);
        let rows = tx.fetch(sql, args).await?;
        let counted = rows.iter().map(|row| {
            let record = record(row)?;
            let last_seen = self.store.node_cache.last_seen(&record.key, record.last_seen);
            let is_active = now < last_seen + record.idle;
            Ok(CountedSession::new(&record, last_seen, is_active))
        });
        counted.collect()
    }
}

impl Inner {
    pub(super) async fn begin(
        self: &Arc<Self>,
        mut sign_in: SignIn,
    ) -> Result<SignInOutcome, StoreError> {
        let _in_flight = self.calls.acquire(sign_in.record.scopes.user).await;
        self.sync_if_stale().await?;
        sign_in.replaces.take_if(|replaced| self.is_folded(&replaced.tombstone));
        let generation = self.node_cache.generation();
        let may_end = sign_in.replaces.is_some();
        let mut step = Begin { store: self, sign_in: &sign_in, may_end };
        let mut begun = Begun::MustEnd;
        if !may_end {
            begun = self.commit(&step).await?;
        }
        if let Begun::MustEnd = begun {
            step.may_end = true;
            begun = self.commit_and_publish(&step).await?;
        }
        let Begun::Done(changed) = begun else { return Ok(SignInOutcome::Refused) };
        self.apply(&changed.changes);
        let SessionRecord { key, idle, last_seen, .. } = sign_in.record;
        // The first request finds it in the cache.
        let stored = Stored { last_seen: Some(last_seen), idle, generation, read_at: last_seen };
        self.node_cache.remember(key, stored);
        for user in changed.many_of {
            self.fold(user, last_seen).await;
        }
        Ok(SignInOutcome::Begun(changed.signed_in))
    }
}
