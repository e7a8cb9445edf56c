//! The store in memory as a store of whole session lives.

use std::{
    collections::HashSet,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    lifecycle_state::{LifecycleState, cursor},
    sessions::MemoryStore,
};
use crate::{
    audit::AuditRecord,
    identity::{Scope, StoreKey},
    maybe_ready::{MaybeReady, StoreError},
    policy::TimeoutOverrides,
    store::{
        ActiveUser, BulkRevocation, Exempt, LifecycleStore, ListQuery, LogScope, OverridesChange,
        Page, RefreshAsk, RefreshState, RefreshedSession, RevocationCutoff, Rotated, Rotation,
        SessionRecord, StoredSession, TokenState,
    },
    time::Timestamp,
};

/// How many bulk revocations pay for one look through the marks.
const REVOCATIONS_A_CLEARING: usize = 1024;

const MILLISECOND: Duration = Duration::from_millis(1);

impl LifecycleStore for MemoryStore {
    /// # Errors
    /// If the session was ended before it began.
    fn begin(&self, record: SessionRecord, log: AuditRecord) -> MaybeReady<Timestamp> {
        MaybeReady::ready(self.begin_now(record, log))
    }

    fn refresh_state(&self, ask: RefreshAsk) -> MaybeReady<RefreshState> {
        MaybeReady::ready(Ok(self.state_of(&self.lifecycle_state(), ask)))
    }

    /// # Errors
    /// If the store is full of used tokens.
    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        MaybeReady::ready(self.rotate_now(rotation))
    }

    /// Liveness is judged at `log.at`.
    ///
    /// # Errors
    /// If the store is full of tombstones.
    fn revoke(&self, session: StoreKey, until: Timestamp, log: AuditRecord) -> MaybeReady<bool> {
        MaybeReady::ready(self.revoke_now(session, until, log))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        MaybeReady::ready(Ok(self.revoke_all_now(revocation)))
    }

    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        let lifecycle_state = self.lifecycle_state();
        let live = lifecycle_state.records.latest(scope.key(), query.cursor());
        let live = live.filter(|record| self.is_live(record, now)).take(query.limit() as usize + 1);
        let live = live.map(|record| self.up_to_date(record)).collect();
        MaybeReady::ready(Ok(Page::new(live, &query, cursor)))
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        let lifecycle_state = self.lifecycle_state();
        let record =
            lifecycle_state.records.get(&session).filter(|record| self.is_live(record, now));
        MaybeReady::ready(Ok(record.map(|record| self.up_to_date(record))))
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> MaybeReady<Vec<ActiveUser>> {
        let lifecycle_state = self.lifecycle_state();
        let mut seen = HashSet::new();
        let live = lifecycle_state
            .records
            .latest(account, None)
            .filter(|record| self.is_live(record, now));
        let users = live
            .filter(|record| seen.insert(record.scopes.user))
            .map(|record| ActiveUser { sub: record.sub.clone(), last_login_at: record.auth_time });
        MaybeReady::ready(Ok(users.take(limit as usize).collect()))
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        MaybeReady::ready(Ok(self.overrides_of(account)))
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        let mut lifecycle_state = self.lifecycle_state();
        let is_in_force = self.overrides_of(change.account) == change.old;
        if is_in_force {
            self.account_policies.set_overrides(change.account, change.new);
            lifecycle_state.logs.append(change.log);
        }
        MaybeReady::ready(Ok(is_in_force))
    }

    fn append(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        let mut lifecycle_state = self.lifecycle_state();
        for row in rows {
            lifecycle_state.logs.append(row);
        }
        MaybeReady::ready(Ok(()))
    }

    fn log(&self, log: LogScope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        MaybeReady::ready(Ok(self.lifecycle_state().logs.page(log, &query)))
    }
}

/// Whoever writes a tombstone, a mark or a record holds the lock from [`MemoryStore::lifecycle_state`]
/// meanwhile; so what one of these methods has read stays so until it is done.
impl MemoryStore {
    fn lifecycle_state(&self) -> MutexGuard<'_, LifecycleState> {
        self.lifecycle_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_now(
        &self,
        mut record: SessionRecord,
        log: AuditRecord,
    ) -> Result<Timestamp, StoreError> {
        let mut lifecycle_state = self.lifecycle_state();
        if self.get_now(&record.key) == StoredSession::Ended {
            return Err(StoreError::new("the session was ended before it began"));
        }
        let marks = record.scopes.keys().filter_map(|scope| self.revocations.cutoff_of(&scope));
        let behind_marks = marks.max().map(|mark| mark + Duration::from_millis(1));
        let epoch = record.epoch.max(behind_marks.unwrap_or_default());
        record.epoch = epoch;
        let now = record.last_seen;
        self.remember(&mut lifecycle_state, record, now);
        lifecycle_state.logs.append(log);
        Ok(epoch)
    }

    fn rotate_now(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let Rotation { ask, now, until, successors, is_activity, adopt } = rotation;
        let mut lifecycle_state = self.lifecycle_state();
        let state = self.state_of(&lifecycle_state, ask);
        let may_go_on = match state.session {
            RefreshedSession::Unknown => adopt.is_some(),
            RefreshedSession::Revoked => false,
            RefreshedSession::Known(_) => true,
        };
        if !may_go_on || state.token != TokenState::Unused {
            return Ok(Rotated::Refused(state));
        }
        lifecycle_state.tokens.make_room(now).map_err(StoreError::new)?;
        if let Some(record) = adopt.filter(|_| state.session == RefreshedSession::Unknown) {
            self.remember(&mut lifecycle_state, record, now);
        }
        lifecycle_state.tokens.consume(ask.token, now, until, successors);
        if is_activity && let Some(record) = lifecycle_state.records.get(&ask.session) {
            self.record_activity(ask.session, now, record.idle);
            lifecycle_state.records.touch(&ask.session, now);
        }
        Ok(Rotated::Done)
    }

    fn revoke_now(
        &self,
        session: StoreKey,
        until: Timestamp,
        log: AuditRecord,
    ) -> Result<bool, StoreError> {
        let mut lifecycle_state = self.lifecycle_state();
        let record = lifecycle_state.records.get(&session);
        let was_live = record.is_some_and(|record| self.is_live(record, log.at));
        self.end_in(&mut lifecycle_state, session, until)?;
        if was_live {
            lifecycle_state.logs.append(log);
        }
        Ok(was_live)
    }

    /// Ends a session while no lifecycle call runs.
    pub(super) fn end_alone(&self, session: StoreKey, until: Timestamp) -> Result<(), StoreError> {
        self.end_in(&mut self.lifecycle_state(), session, until)
    }

    /// The tombstone stands for the record, which goes.
    fn end_in(
        &self,
        lifecycle_state: &mut LifecycleState,
        session: StoreKey,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let ends_at = lifecycle_state.records.get(&session).map(|record| record.ends_at);
        self.end_now(session, until.max(ends_at.unwrap_or_default()))?;
        lifecycle_state.records.remove(&session);
        Ok(())
    }

    fn revoke_all_now(&self, revocation: BulkRevocation) -> u64 {
        let BulkRevocation { scope, exempt, now, mark, until, log } = revocation;
        let mut lifecycle_state = self.lifecycle_state();
        let is_exempt = exempted(&exempt);
        let live = lifecycle_state.records.latest(scope.key(), None);
        let (exempt_until, to_end): (Vec<_>, Vec<_>) = live
            .filter(|record| self.is_live(record, now))
            .map(|record| (record.key, record.epoch, is_exempt(record)))
            .partition(|(_, _, is_exempt)| *is_exempt);
        // One that began behind an earlier mark, or was exempt from it, may be ahead of this one.
        let latest = to_end.iter().map(|(session, epoch, _)| {
            let exempt_until = self.revocations.exempt_until(session);
            exempt_until.map_or(*epoch, |exempt_until| (exempt_until + MILLISECOND).max(*epoch))
        });
        let latest = latest.max().unwrap_or_default();
        let (mark, until) = (mark.max(latest), until + latest.since(mark));
        for (session, _, _) in exempt_until {
            self.revocations.exempt(session, mark, until);
        }
        self.revocations.add_cutoff(scope.key(), RevocationCutoff::new(mark, until));
        let ended = to_end.len() as u64;
        for (session, _, _) in to_end {
            lifecycle_state.records.remove(&session);
        }
        if ended > 0 {
            lifecycle_state.logs.append(log.with_count("revoked_count", ended));
        }
        lifecycle_state.revocations += 1;
        if lifecycle_state.revocations.is_multiple_of(REVOCATIONS_A_CLEARING) {
            self.revocations.remove_expired(now);
        }
        ended
    }

    fn state_of(&self, lifecycle_state: &LifecycleState, ask: RefreshAsk) -> RefreshState {
        let is_revoked = self.get_now(&ask.session) == StoredSession::Ended
            || self.revocations.revoked_by(ask.session, ask.epoch, || ask.scopes).is_some();
        let session = match lifecycle_state.records.get(&ask.session) {
            _ if is_revoked => RefreshedSession::Revoked,
            Some(record) => RefreshedSession::Known(self.last_activity(record)),
            None => RefreshedSession::Unknown,
        };
        RefreshState { session, token: lifecycle_state.tokens.state(&ask.token) }
    }

    /// Keeps a record and begins the entry that requests read.
    fn remember(
        &self,
        lifecycle_state: &mut LifecycleState,
        record: SessionRecord,
        now: Timestamp,
    ) {
        self.record_activity(record.key, record.last_seen, record.idle);
        lifecycle_state.records.insert(record, now, |record| self.end_of(record));
    }

    fn is_live(&self, record: &SessionRecord, now: Timestamp) -> bool {
        now < self.end_of(record) && !self.is_revoked(record)
    }

    fn is_revoked(&self, record: &SessionRecord) -> bool {
        self.revocations.revoked_by(record.key, record.epoch, || record.scopes).is_some()
    }

    /// When a session is over unless it is active once more.
    fn end_of(&self, record: &SessionRecord) -> Timestamp {
        record.ends_at.min(self.last_activity(record) + record.idle)
    }

    fn last_activity(&self, record: &SessionRecord) -> Timestamp {
        match self.get_now(&record.key) {
            StoredSession::Active(at) => record.last_seen.max(at),
            StoredSession::Unknown | StoredSession::Ended => record.last_seen,
        }
    }

    fn up_to_date(&self, record: &SessionRecord) -> SessionRecord {
        SessionRecord { last_seen: self.last_activity(record), ..record.clone() }
    }

    fn overrides_of(&self, account: StoreKey) -> TimeoutOverrides {
        self.account_policies.overrides(|| Some(account)).unwrap_or_default()
    }
}

/// Whether a record is excepted.
fn exempted(exempt: &Exempt) -> impl Fn(&SessionRecord) -> bool {
    let (sessions, user) = match exempt {
        Exempt::None => (HashSet::new(), None),
        Exempt::Sessions(keys) => (keys.iter().copied().collect(), None),
        Exempt::User(user) => (HashSet::new(), Some(*user)),
    };
    move |record| sessions.contains(&record.key) || user == Some(record.scopes.user)
}

#[cfg(test)]
mod tests;
