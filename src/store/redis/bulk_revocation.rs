//! Revocation of all sessions of a scope: a cutoff in the slot of the feed.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    Inner,
    answer::int,
    counts::Count,
    failure::Failure,
    kept_change::{self, FeedChange},
    lists::After,
    record::Stored,
};
use crate::{
    clock::Stopwatch,
    identity::{Scope, SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{
        BulkRevocation, CallerSession, Exempt, RevocationCutoff, SessionRecord,
        bulk_revocation::UNRECORDED_SESSIONS, node::Change,
    },
    time::Timestamp,
};

/// How long the sessions of a scope are counted one by one.
const COUNTING_TIME: Duration = Duration::from_secs(2);

const MILLISECOND: Duration = Duration::from_millis(1);

/// The field of the tombstones of a user that says that sessions without a record may be active.
const UNRECORDED: &str = "d";

/// A cutoff that is raised.
pub(super) struct Raised<'a> {
    revocation: &'a BulkRevocation,
    exempt: HashSet<[u8; 16]>,
    cutoff: RevocationCutoff,
    count: Count,
}

impl Inner {
    /// Revokes a scope. It goes on if the caller is cut off: a cutoff that is raised has an audit record.
    pub(super) async fn revoke_scope(
        self: &Arc<Self>,
        revocation: BulkRevocation,
    ) -> Result<u64, StoreError> {
        let store = Arc::clone(self);
        let revoking = tokio::spawn(async move { store.revoke_and_count(revocation).await });
        revoking.await.map_err(StoreError::new)?
    }

    /// Raises the cutoff, and counts afterwards: however many sessions there are, they end.
    async fn revoke_and_count(&self, revocation: BulkRevocation) -> Result<u64, StoreError> {
        let _in_flight = self.calls.acquire(revocation.scope.key()).await;
        let raised = self.raise_cutoff(&revocation).await?;
        let mut count = 0;
        if let Err(error) = self.count_revoked(&raised, &mut count).await {
            // They have ended, however many they are.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "not every session was counted that a cutoff has revoked");
        }
        self.append_committed(&revocation.audit.clone().with_revoked_count(count)).await;
        self.wait_for_replicas(&[]).await?;
        Ok(count)
    }

    pub(super) async fn raise_cutoff<'a>(
        &self,
        revocation: &'a BulkRevocation,
    ) -> Result<Raised<'a>, StoreError> {
        let _counting = self.counting.write().await;
        self.sync_now().await?;
        let BulkRevocation { scope, cutoff, .. } = *revocation;
        let exempt = self.exempt_sessions(revocation).await?;
        // A session that began after a cutoff, or was exempt from it, may be later than this cutoff.
        let exempt_until = self.revocations.latest_exemption().map(|until| until + MILLISECOND);
        let latest = self.latest_epoch(scope).await?.max(exempt_until);
        let at = latest.map_or(cutoff.at, |latest| cutoff.at.max(latest));
        let until = cutoff.until + at.since(cutoff.at);
        let exemption = |session: &StoreKey| Change::Exempt { session: *session, at, until }.into();
        let exemptions: Vec<FeedChange> = exempt.iter().map(exemption).collect();
        self.publish_exemptions(&exemptions).await?;
        self.apply_own(&exemptions);
        let cutoff = RevocationCutoff::new(at, until);
        let count = self.counts.begin(scope.key(), self.revocations.cutoff_of(&scope.key()));
        let change = FeedChange::from(Change::Cutoff { scope: scope.key(), cutoff });
        self.publish_and_keep(&[change], 1, &[]).await?;
        self.apply_own(&[change]);
        let exempt = exempt.iter().map(|session| *session.as_bytes()).collect();
        Ok(Raised { revocation, exempt, cutoff, count })
    }

    /// Counts the sessions that the cutoff has revoked, one by one for a while; of the rest, those that
    /// the list has. Removes exemptions from earlier cutoffs.
    pub(super) async fn count_revoked(
        &self,
        raised: &Raised<'_>,
        count: &mut u64,
    ) -> Result<(), StoreError> {
        let scope = raised.revocation.scope;
        if matches!(scope, Scope::Everything(_)) && !self.lists_everything {
            return Ok(());
        }
        let (counting, mut after) = (Stopwatch::start(), None::<After>);
        loop {
            let (records, next) = self.list_piece(scope, after).await?;
            let revoked = records.iter().filter(|it| self.has_revoked(raised, &it.session));
            let revoked: Vec<_> = revoked.map(|record| record.session.key).collect();
            *count += revoked.len() as u64;
            self.remove_exemptions(&revoked).await?;
            let Some(next) = next else { return Ok(()) };
            if counting.elapsed() > COUNTING_TIME {
                *count += self.count_after(scope, &next).await?;
                return Ok(());
            }
            after = Some(next);
        }
    }

    /// Whether a session was active until the cutoff was raised.
    fn has_revoked(&self, raised: &Raised<'_>, session: &SessionRecord) -> bool {
        let Raised { revocation, cutoff, exempt, count } = raised;
        let SessionRecord { key, epoch, ends_at, scopes, .. } = session;
        let last_seen = self.node_cache.last_seen(key, session.last_seen);
        let now = revocation.now;
        let cutoff_before =
            |scope: StoreKey| count.cutoff_before(scope, || self.revocations.cutoff_of(&scope));
        let exempt_until = self.revocations.exempt_until(key);
        let revokes = |at: Timestamp| *epoch <= at && exempt_until.is_none_or(|until| until < at);
        *epoch <= cutoff.at
            && now < last_seen + session.idle
            && now < *ends_at
            && !exempt.contains(key.as_bytes())
            && !self.unplaced.contains_key(key)
            && !scopes.keys().filter_map(cutoff_before).any(revokes)
    }

    async fn remove_exemptions(&self, revoked: &[StoreKey]) -> Result<(), Failure> {
        let had_exemption = |key: &&StoreKey| self.revocations.exempt_until(key).is_some();
        let had: Vec<_> = revoked.iter().filter(had_exemption).collect();
        if had.is_empty() {
            return Ok(());
        }
        let fields: Vec<_> = had.iter().map(|key| kept_change::exemption(**key)).collect();
        self.publish(&[], &[], &fields).await?;
        for session in had {
            self.revocations.remove_exemption(session);
        }
        Ok(())
    }

    /// Returns the active sessions of the scope that the revocation exempts.
    async fn exempt_sessions(
        &self,
        revocation: &BulkRevocation,
    ) -> Result<Vec<StoreKey>, StoreError> {
        let sessions = match &revocation.exempt {
            Exempt::Sessions(sessions) => sessions.clone(),
            Exempt::Caller(caller) => vec![caller.key],
            Exempt::None | Exempt::User(_) | Exempt::UserOfCaller(_) => Vec::new(),
        };
        let mut exempt = Vec::new();
        let is_exempt = |record: &SessionRecord| {
            revocation.scope.contains(&record.scopes) && self.is_active(record, revocation.now)
        };
        if let Some(user) = revocation.exempt.user() {
            let (records, _) = self.list_piece(Scope::User(user), None).await?;
            let records = records.into_iter().map(|record| record.session);
            exempt.extend(records.filter(is_exempt).map(|session| session.key));
            // After the records are read: one that was removed since is among them.
            if self.has_unrecorded(user).await? {
                return Err(StoreError::new(UNRECORDED_SESSIONS));
            }
        }
        for session in sessions {
            let user = match revocation.scope {
                Scope::User(user) => Some(user),
                _ => self.user_of(session).await?,
            };
            let Some(user) = user else { continue };
            let is_exempt = match self.stored(SessionKeys::new(session, user)).await? {
                Some(Stored::Record(record)) => is_exempt(&record.session),
                // Redis cannot tell whether it is in the scope, but its token can.
                Some(Stored::Activity { last_seen, idle }) => {
                    let last_seen = self.node_cache.last_seen(&session, last_seen);
                    revocation.now < last_seen + idle
                        && !self.unplaced.contains_key(&session)
                        && revocation.exempts_unrecorded(
                            &session,
                            last_seen,
                            &[user],
                            &self.revocations,
                        )?
                }
                Some(Stored::Tombstone { .. }) | None => false,
            };
            exempt.extend(is_exempt.then_some(session));
        }
        exempt.extend(self.unrecorded_caller(revocation).await?);
        Ok(exempt)
    }

    /// Whether a session of the user may be active that has no record.
    async fn has_unrecorded(&self, user: StoreKey) -> Result<bool, Failure> {
        let mut command = redis::cmd("HEXISTS");
        command.arg(self.keys.tombstones(user)).arg(UNRECORDED);
        Ok(int(&self.connection.query(&command).await?)? == 1)
    }

    /// Returns the caller's session if it is exempt, is active and has no record: its activity may not
    /// be written yet.
    async fn unrecorded_caller(
        &self,
        revocation: &BulkRevocation,
    ) -> Result<Option<StoreKey>, StoreError> {
        let Some(caller) = revocation.exempt.caller() else { return Ok(None) };
        let CallerSession { key, scopes, epoch, .. } = *caller;
        if !revocation.scope.contains(&scopes)
            || self.revocations.revoked_by(key, epoch, || scopes).is_some()
            || self.unplaced.contains_key(&key)
        {
            return Ok(None);
        }
        Ok(match self.stored(SessionKeys::new(key, scopes.user)).await? {
            None | Some(Stored::Activity { .. }) => Some(key),
            Some(Stored::Record(_) | Stored::Tombstone { .. }) => None,
        })
    }
}
