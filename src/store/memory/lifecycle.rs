//! The memory store as a lifecycle store.

use std::{
    collections::HashSet,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    lifecycle_state::{Expiry, LifecycleState, Origin, cursor},
    sessions::MemoryStore,
};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, StoreKey},
    maybe_ready::{MaybeReady, StoreError},
    policy::TimeoutOverrides,
    store::{
        ActiveUser, BulkRevocation, CallerSession, ClaimsChange, Exempt, LifecycleQueries,
        LifecycleStore, ListQuery, OpenTicket, OverridesChange, Page, RefreshQuery, RefreshState,
        RefreshedSession, RevocationCutoff, Rotated, Rotation, SessionRecord, SignIn,
        SignInOutcome, StoredSession, TicketUse, Tombstone, bulk_revocation::UNRECORDED_SESSIONS,
    },
    time::Timestamp,
};

/// One of this many bulk revocations and folds removes expired cutoffs, which is O(n) in the cutoffs.
const REVOCATIONS_PER_CLEANUP: usize = 1024;

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

impl LifecycleStore for MemoryStore {
    /// # Errors
    /// If the session already has a tombstone, or there is no room for that of the session which it
    /// replaces.
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome> {
        MaybeReady::ready(self.begin_now(sign_in))
    }

    fn adopt(&self, record: SessionRecord) -> MaybeReady<()> {
        self.adopt_now(record);
        MaybeReady::ready(Ok(()))
    }

    fn refresh_state(&self, query: RefreshQuery) -> MaybeReady<RefreshState> {
        MaybeReady::ready(Ok(self.state_of(&self.lifecycle_state(), query)))
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        MaybeReady::ready(Ok(self.rotate_now(rotation)))
    }

    /// # Errors
    /// As [`write_tombstone`](crate::store::SessionStore::write_tombstone).
    fn revoke(&self, tombstone: Tombstone, audit: AuditRecord) -> MaybeReady<bool> {
        MaybeReady::ready(self.revoke_now(tombstone, audit))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        MaybeReady::ready(self.revoke_all_now(revocation))
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        MaybeReady::ready(Ok(self.overrides_of(account)))
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        let mut lifecycle_state = self.lifecycle_state();
        let is_current = self.overrides_of(change.account) == change.old;
        if is_current {
            self.account_policies.set_overrides(change.account, change.new);
            lifecycle_state.audit_log.append(change.audit);
        }
        drop(lifecycle_state);
        self.revocations.recheck_account(&change.account);
        MaybeReady::ready(Ok(is_current))
    }

    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp> {
        MaybeReady::ready(Ok(self.change_claims_now(change)))
    }

    /// # Errors
    /// If as many users have an open ticket as the store has room for.
    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()> {
        MaybeReady::ready(self.lifecycle_state().tickets.open(ticket))
    }

    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool> {
        MaybeReady::ready(Ok(self.lifecycle_state().tickets.close(used)))
    }

    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        let mut lifecycle_state = self.lifecycle_state();
        for record in &*records {
            lifecycle_state.audit_log.append(record.clone());
        }
        MaybeReady::ready(Ok(()))
    }

    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        let mut lifecycle_state = self.lifecycle_state();
        for entry in &*entries {
            lifecycle_state.activity_log.append(entry.clone());
        }
        MaybeReady::ready(Ok(()))
    }
}

impl LifecycleQueries for MemoryStore {
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        let lifecycle_state = self.lifecycle_state();
        let records = lifecycle_state.records.latest(scope.key(), query.cursor());
        let active = records.filter(|record| self.is_active(record, now));
        let active = active.take(query.limit() as usize + 1);
        let active = active.map(|record| self.up_to_date(record)).collect();
        MaybeReady::ready(Ok(Page::new(active, &query, cursor)))
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        let lifecycle_state = self.lifecycle_state();
        let record = lifecycle_state.records.get(&session);
        let record = record.filter(|record| self.is_active(record, now));
        MaybeReady::ready(Ok(record.map(|record| self.up_to_date(record))))
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        let lifecycle_state = self.lifecycle_state();
        let mut seen = HashSet::new();
        let records = lifecycle_state.records.latest(account, None);
        let users = records
            .filter(|record| self.is_active(record, now))
            .filter(|record| seen.insert(record.scopes.user))
            .map(|record| ActiveUser::new(record.sub.clone(), record.auth_time));
        Some(MaybeReady::ready(Ok(users.take(limit as usize).collect())))
    }

    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        MaybeReady::ready(Ok(self.lifecycle_state().audit_log.page(scope, &query)))
    }

    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        MaybeReady::ready(Ok(self.lifecycle_state().activity_log.page(scope, &query)))
    }
}

/// Every method that writes a tombstone, a cutoff or a record holds the lock that
/// [`MemoryStore::lifecycle_state`] returns, so what such a method reads does not change before it
/// returns.
impl MemoryStore {
    pub(super) fn lifecycle_state(&self) -> MutexGuard<'_, LifecycleState> {
        self.lifecycle_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn adopt_now(&self, record: SessionRecord) {
        let mut lifecycle_state = self.lifecycle_state();
        let query = RefreshQuery::new(record.key, record.epoch, record.scopes);
        if let RefreshState::Unknown(_) = self.state_of(&lifecycle_state, query) {
            let now = record.last_seen;
            self.insert_record(&mut lifecycle_state, record, Origin::Token, now);
        }
    }

    fn rotate_now(&self, rotation: Rotation) -> Rotated {
        let mut lifecycle_state = self.lifecycle_state();
        let (session, generation) = (rotation.query.session, rotation.next_generation());
        match self.state_of(&lifecycle_state, rotation.query) {
            RefreshState::Known(recorded) if rotation.may_follow(&recorded) => {}
            RefreshState::Unknown(_) => {
                let now = rotation.exchange.at;
                self.insert_record(&mut lifecycle_state, rotation.record, Origin::Token, now);
            }
            state => return Rotated::Refused(state),
        }
        let now = rotation.exchange.at;
        lifecycle_state.records.exchange(&session, generation, rotation.exchange);
        if rotation.is_activity
            && let Some(record) = lifecycle_state.records.get(&session)
        {
            self.record_activity(record, now);
            lifecycle_state.records.touch(&session, now);
        }
        Rotated::Done
    }

    fn revoke_all_now(&self, revocation: BulkRevocation) -> Result<u64, StoreError> {
        let mut lifecycle_state = self.lifecycle_state();
        if let Some(user) = revocation.exempt.user()
            && !lifecycle_state.records.are_complete(&user, revocation.now)
        {
            return Err(StoreError::new(UNRECORDED_SESSIONS));
        }
        let unrecorded = self.exempt_unrecorded(&lifecycle_state, &revocation);
        let BulkRevocation { scope, exempt, now, cutoff, audit } = revocation;
        let caller = exempt.caller().filter(|caller| self.is_unrecorded(&lifecycle_state, caller));
        let caller = caller.filter(|caller| scope.contains(&caller.scopes)).map(|it| it.key);
        let is_exempt = is_exempt(&exempt);
        let records = lifecycle_state.records.latest(scope.key(), None);
        let (exempt, revoked): (Vec<_>, Vec<_>) = records
            .filter(|record| self.is_active(record, now))
            .map(|record| (record.key, record.epoch, is_exempt(record)))
            .partition(|(_, _, is_exempt)| *is_exempt);
        // A session that began after an earlier cutoff, or was exempt from it, may be later than
        // this cutoff.
        let latest = revoked.iter().map(|(_, epoch, _)| *epoch);
        let exempt_until = self.revocations.latest_exemption().map(|at| at + MILLISECOND);
        let latest = latest.chain(exempt_until).max().unwrap_or_default();
        let until = cutoff.until + latest.since(cutoff.at);
        let at = cutoff.at.max(latest);
        let exempt = exempt.into_iter().map(|(session, _, _)| session);
        for session in exempt.chain(caller).chain(unrecorded) {
            self.revocations.exempt(session, at, until);
        }
        self.revocations.insert_cutoff(scope.key(), RevocationCutoff::new(at, until));
        let count = revoked.len() as u64;
        for (session, _, _) in revoked {
            lifecycle_state.records.remove(&session);
            self.revocations.remove_exemption(&session);
        }
        lifecycle_state.audit_log.append(audit.with_revoked_count(count));
        self.count_revocation(&mut lifecycle_state, now);
        drop(lifecycle_state);
        self.revocations.recheck_scope(&scope.key(), at);
        Ok(count)
    }

    /// Returns the named sessions that are exempt, are active and have no record, such as after a restart. Of one that a
    /// revocation may have ended the record was removed.
    fn exempt_unrecorded(
        &self,
        lifecycle_state: &LifecycleState,
        revocation: &BulkRevocation,
    ) -> Vec<StoreKey> {
        let Exempt::Sessions(sessions) = &revocation.exempt else { return Vec::new() };
        let is_exempt = |session: &&StoreKey| {
            let StoredSession::Active(at) = self.get_now(session) else { return false };
            lifecycle_state.records.get(session).is_none()
                && matches!(
                    revocation.exempts_unrecorded(session, at, &[], &self.revocations),
                    Ok(true)
                )
        };
        sessions.iter().filter(is_exempt).copied().collect()
    }

    /// Removes expired cutoffs, at some calls.
    pub(super) fn count_revocation(&self, lifecycle_state: &mut LifecycleState, now: Timestamp) {
        lifecycle_state.revocations += 1;
        if lifecycle_state.revocations.is_multiple_of(REVOCATIONS_PER_CLEANUP) {
            self.revocations.remove_expired(now);
        }
    }

    /// Whether a session is active that has no record, such as after a restart.
    fn is_unrecorded(&self, lifecycle_state: &LifecycleState, session: &CallerSession) -> bool {
        let CallerSession { key, scopes, epoch, .. } = session;
        lifecycle_state.records.get(key).is_none()
            && self.get_now(key) != StoredSession::Ended
            && self.revocations.revoked_by(*key, *epoch, || *scopes).is_none()
    }

    pub(super) fn state_of(
        &self,
        lifecycle_state: &LifecycleState,
        query: RefreshQuery,
    ) -> RefreshState {
        let RefreshQuery { session, epoch, scopes, .. } = query;
        let is_revoked = self.get_now(&session) == StoredSession::Ended
            || self.revocations.revoked_by(session, epoch, || scopes).is_some();
        match lifecycle_state.records.refreshed(&session) {
            _ if is_revoked => RefreshState::Revoked,
            None => RefreshState::Unknown(match self.get_now(&session) {
                StoredSession::Active(at) => Some(at),
                _ => None,
            }),
            Some(recorded) => RefreshState::Known(RefreshedSession {
                last_seen: self.last_activity(&session, recorded.last_seen),
                presented: self.presented_generation(&session),
                ..recorded
            }),
        }
    }

    /// Inserts a record, and begins the entry that requests read.
    pub(super) fn insert_record(
        &self,
        lifecycle_state: &mut LifecycleState,
        record: SessionRecord,
        origin: Origin,
        now: Timestamp,
    ) {
        self.record_activity(&record, record.last_seen);
        lifecycle_state.records.insert(record, origin, now, |record| {
            let is_known = self.get_now(&record.key) != StoredSession::Unknown;
            Expiry { at: self.expires_at(record), is_known }
        });
    }

    pub(super) fn is_active(&self, record: &SessionRecord, now: Timestamp) -> bool {
        let SessionRecord { key, epoch, scopes, .. } = record;
        now < self.expires_at(record)
            && self.revocations.revoked_by(*key, *epoch, || *scopes).is_none()
    }

    /// Returns when a session expires without another activity.
    pub(super) fn expires_at(&self, record: &SessionRecord) -> Timestamp {
        record.ends_at.min(self.last_activity(&record.key, record.last_seen) + record.idle)
    }

    pub(super) fn last_activity(&self, session: &StoreKey, recorded: Timestamp) -> Timestamp {
        match self.get_now(session) {
            StoredSession::Active(at) => recorded.max(at),
            _ => recorded,
        }
    }

    fn up_to_date(&self, record: &SessionRecord) -> SessionRecord {
        SessionRecord {
            last_seen: self.last_activity(&record.key, record.last_seen),
            ..record.clone()
        }
    }

    fn overrides_of(&self, account: StoreKey) -> TimeoutOverrides {
        self.account_policies.overrides(|| Some(account)).unwrap_or_default()
    }
}

fn is_exempt(exempt: &Exempt) -> impl Fn(&SessionRecord) -> bool {
    let sessions: HashSet<_> = match exempt {
        Exempt::Sessions(keys) => keys.iter().copied().collect(),
        Exempt::Caller(caller) => HashSet::from([caller.key]),
        Exempt::None | Exempt::User(_) | Exempt::UserOfCaller(_) => HashSet::new(),
    };
    let user = exempt.user();
    move |record| sessions.contains(&record.key) || user == Some(record.scopes.user)
}

#[cfg(test)]
mod tests;
