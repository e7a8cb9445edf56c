//! The store in memory as a store of whole session lives.

use std::{
    collections::HashSet,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    lives::{Lives, cursor},
    sessions::MemoryStore,
};
use crate::{
    rules::{Overrides, Timestamp},
    store::{
        ActiveUser, BulkRevocation, Except, Key, LifecycleStore, ListQuery, LogRow, LogScope,
        OverridesChange, Page, Peeked, RefreshAsk, RefreshState, RefreshedSession, Rotated,
        Rotation, Scope, SessionRecord, StoreError, StoreFuture, TokenState,
    },
};

/// How many bulk revocations pay for one look through the marks.
const REVOCATIONS_A_CLEARING: usize = 1024;

const MILLISECOND: Duration = Duration::from_millis(1);

impl LifecycleStore for MemoryStore {
    /// # Errors
    /// If the session was ended before it began.
    fn begin(&self, record: SessionRecord, log: LogRow) -> StoreFuture<Timestamp> {
        StoreFuture::ready(self.begin_now(record, log))
    }

    fn refresh_state(&self, ask: RefreshAsk) -> StoreFuture<RefreshState> {
        StoreFuture::ready(Ok(self.state_of(&self.lives(), ask)))
    }

    /// # Errors
    /// If the store is full of used tokens.
    fn rotate(&self, rotation: Rotation) -> StoreFuture<Rotated> {
        StoreFuture::ready(self.rotate_now(rotation))
    }

    /// Liveness is judged at `log.at`.
    ///
    /// # Errors
    /// If the store is full of tombstones.
    fn revoke(&self, session: Key, until: Timestamp, log: LogRow) -> StoreFuture<bool> {
        StoreFuture::ready(self.revoke_now(session, until, log))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> StoreFuture<u64> {
        StoreFuture::ready(Ok(self.revoke_all_now(revocation)))
    }

    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> StoreFuture<Page<SessionRecord>> {
        let lives = self.lives();
        let live = lives.records.latest(scope.key(), query.cursor());
        let live = live.filter(|record| self.is_live(record, now)).take(query.limit() as usize + 1);
        let live = live.map(|record| self.up_to_date(record)).collect();
        StoreFuture::ready(Ok(Page::of(live, &query, cursor)))
    }

    fn session(&self, session: Key, now: Timestamp) -> StoreFuture<Option<SessionRecord>> {
        let lives = self.lives();
        let record = lives.records.get(&session).filter(|record| self.is_live(record, now));
        StoreFuture::ready(Ok(record.map(|record| self.up_to_date(record))))
    }

    fn active_users(
        &self,
        account: Key,
        limit: u32,
        now: Timestamp,
    ) -> StoreFuture<Vec<ActiveUser>> {
        let lives = self.lives();
        let mut seen = HashSet::new();
        let live = lives.records.latest(account, None).filter(|record| self.is_live(record, now));
        let users = live
            .filter(|record| seen.insert(record.scopes.user))
            .map(|record| ActiveUser { sub: record.sub.clone(), last_login_at: record.auth_time });
        StoreFuture::ready(Ok(users.take(limit as usize).collect()))
    }

    fn overrides(&self, account: Key) -> StoreFuture<Overrides> {
        StoreFuture::ready(Ok(self.overrides_of(account)))
    }

    fn set_overrides(&self, change: OverridesChange) -> StoreFuture<bool> {
        let mut lives = self.lives();
        let is_in_force = self.overrides_of(change.account) == change.old;
        if is_in_force {
            self.bulletin.set_overrides(change.account, change.new);
            lives.logs.append(change.log);
        }
        StoreFuture::ready(Ok(is_in_force))
    }

    fn append(&self, rows: Vec<LogRow>) -> StoreFuture<()> {
        let mut lives = self.lives();
        for row in rows {
            lives.logs.append(row);
        }
        StoreFuture::ready(Ok(()))
    }

    fn log(&self, log: LogScope, query: ListQuery) -> StoreFuture<Page<LogRow>> {
        StoreFuture::ready(Ok(self.lives().logs.page(log, &query)))
    }
}

/// Whoever writes a tombstone, a mark or a record holds the lock from [`MemoryStore::lives`]
/// meanwhile; so what one of these methods has read stays so until it is done.
impl MemoryStore {
    fn lives(&self) -> MutexGuard<'_, Lives> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_now(&self, mut record: SessionRecord, log: LogRow) -> Result<Timestamp, StoreError> {
        let mut lives = self.lives();
        if self.peek_now(&record.key) == Peeked::Ended {
            return Err(StoreError::new("the session was ended before it began"));
        }
        let marks = record.scopes.keys().filter_map(|scope| self.bulletin.mark_of(&scope));
        let behind_marks = marks.max().map(|mark| mark + Duration::from_millis(1));
        let epoch = record.epoch.max(behind_marks.unwrap_or_default());
        record.epoch = epoch;
        let now = record.last_seen;
        self.remember(&mut lives, record, now);
        lives.logs.append(log);
        Ok(epoch)
    }

    fn rotate_now(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let Rotation { ask, now, until, successors, is_activity, adopt } = rotation;
        let mut lives = self.lives();
        let state = self.state_of(&lives, ask);
        let may_go_on = match state.session {
            RefreshedSession::Unknown => adopt.is_some(),
            RefreshedSession::Revoked => false,
            RefreshedSession::Known(_) => true,
        };
        if !may_go_on || state.token != TokenState::Unused {
            return Ok(Rotated::Refused(state));
        }
        lives.tokens.make_room(now).map_err(StoreError::new)?;
        if let Some(record) = adopt.filter(|_| state.session == RefreshedSession::Unknown) {
            self.remember(&mut lives, record, now);
        }
        lives.tokens.consume(ask.token, now, until, successors);
        if is_activity && let Some(record) = lives.records.get(&ask.session) {
            self.record_activity(ask.session, now, record.idle);
            lives.records.touch(&ask.session, now);
        }
        Ok(Rotated::Done)
    }

    fn revoke_now(&self, session: Key, until: Timestamp, log: LogRow) -> Result<bool, StoreError> {
        let mut lives = self.lives();
        let record = lives.records.get(&session);
        let was_live = record.is_some_and(|record| self.is_live(record, log.at));
        self.end_in(&mut lives, session, until)?;
        if was_live {
            lives.logs.append(log);
        }
        Ok(was_live)
    }

    /// Ends a session while no lifecycle call runs.
    pub(super) fn end_alone(&self, session: Key, until: Timestamp) -> Result<(), StoreError> {
        self.end_in(&mut self.lives(), session, until)
    }

    /// The tombstone stands for the record, which goes.
    fn end_in(&self, lives: &mut Lives, session: Key, until: Timestamp) -> Result<(), StoreError> {
        let ends_at = lives.records.get(&session).map(|record| record.ends_at);
        self.end_now(session, until.max(ends_at.unwrap_or_default()))?;
        lives.records.remove(&session);
        Ok(())
    }

    fn revoke_all_now(&self, revocation: BulkRevocation) -> u64 {
        let BulkRevocation { scope, except, now, mark, until, log } = revocation;
        let mut lives = self.lives();
        let is_excepted = excepted(&except);
        let live = lives.records.latest(scope.key(), None);
        let (spared, to_end): (Vec<_>, Vec<_>) = live
            .filter(|record| self.is_live(record, now))
            .map(|record| (record.key, record.epoch, is_excepted(record)))
            .partition(|(_, _, is_excepted)| *is_excepted);
        // One that began behind an earlier mark, or was spared from it, may be ahead of this one.
        let latest = to_end.iter().map(|(session, epoch, _)| {
            let spared = self.bulletin.spared_from(session);
            spared.map_or(*epoch, |spared| (spared + MILLISECOND).max(*epoch))
        });
        let latest = latest.max().unwrap_or_default();
        let (mark, until) = (mark.max(latest), until + latest.since(mark));
        for (session, _, _) in spared {
            self.bulletin.spare(session, mark, until);
        }
        self.bulletin.mark(scope.key(), mark, until);
        let ended = to_end.len() as u64;
        for (session, _, _) in to_end {
            lives.records.remove(&session);
        }
        if ended > 0 {
            lives.logs.append(log.with_count("revoked_count", ended));
        }
        lives.revocations += 1;
        if lives.revocations.is_multiple_of(REVOCATIONS_A_CLEARING) {
            self.bulletin.forget_lapsed(now);
        }
        ended
    }

    fn state_of(&self, lives: &Lives, ask: RefreshAsk) -> RefreshState {
        let is_revoked = self.peek_now(&ask.session) == Peeked::Ended
            || self.bulletin.is_revoked(ask.session, ask.epoch, || ask.scopes);
        let session = match lives.records.get(&ask.session) {
            _ if is_revoked => RefreshedSession::Revoked,
            Some(record) => RefreshedSession::Known(self.last_activity(record)),
            None => RefreshedSession::Unknown,
        };
        RefreshState { session, token: lives.tokens.state(&ask.token) }
    }

    /// Keeps a record and begins the entry that requests read.
    fn remember(&self, lives: &mut Lives, record: SessionRecord, now: Timestamp) {
        self.record_activity(record.key, record.last_seen, record.idle);
        lives.records.insert(record, now, |record| self.end_of(record));
    }

    fn is_live(&self, record: &SessionRecord, now: Timestamp) -> bool {
        now < self.end_of(record) && !self.is_revoked(record)
    }

    fn is_revoked(&self, record: &SessionRecord) -> bool {
        self.bulletin.is_revoked(record.key, record.epoch, || record.scopes)
    }

    /// When a session is over unless it is active once more.
    fn end_of(&self, record: &SessionRecord) -> Timestamp {
        record.ends_at.min(self.last_activity(record) + record.idle)
    }

    fn last_activity(&self, record: &SessionRecord) -> Timestamp {
        match self.peek_now(&record.key) {
            Peeked::LastSeen(at) => record.last_seen.max(at),
            Peeked::Unknown | Peeked::Ended => record.last_seen,
        }
    }

    fn up_to_date(&self, record: &SessionRecord) -> SessionRecord {
        SessionRecord { last_seen: self.last_activity(record), ..record.clone() }
    }

    fn overrides_of(&self, account: Key) -> Overrides {
        self.bulletin.overrides(|| Some(account)).unwrap_or_default()
    }
}

/// Whether a record is excepted.
fn excepted(except: &Except) -> impl Fn(&SessionRecord) -> bool {
    let (sessions, user) = match except {
        Except::None => (HashSet::new(), None),
        Except::Sessions(keys) => (keys.iter().copied().collect(), None),
        Except::User(user) => (HashSet::new(), Some(*user)),
    };
    move |record| sessions.contains(&record.key) || user == Some(record.scopes.user)
}

#[cfg(test)]
mod tests;
