//! A store that can be away.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tower_sliding_session::{
    MaybeReady, Timestamp,
    audit::AuditRecord,
    identity::{Scope, StoreKey},
    policy::TimeoutOverrides,
    store::{
        AccountPolicies, ActiveUser, BulkRevocation, LifecycleStore, ListQuery, LogScope,
        OverridesChange, Page, RefreshAsk, RefreshState, Revocations, Rotated, Rotation,
        SessionRecord, SessionStore, StoreError, StoredSession, Touch, TouchOutcome,
    },
};

use crate::empty_stores::Store;

/// How long the lifecycle waits for one answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// Every question is an error, and nothing happens.
    Failing,
    /// No question is answered, and nothing happens, until the store is up again: then it is an
    /// error, as a connection that is found to be dead.
    Silent,
    /// What it is told to change changes, and the answer is lost; questions are answered.
    Mute,
}

/// Any store, as it is when it is not always there.
pub(crate) struct Unsteady {
    inner: Store,
    state: watch::Sender<State>,
}

impl Unsteady {
    pub(crate) fn new(inner: Store) -> Arc<Self> {
        Arc::new(Self { inner, state: watch::Sender::new(State::Up) })
    }

    pub(crate) fn turn(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Asks what changes nothing.
    fn read<T>(&self, ask: impl FnOnce(&Store) -> MaybeReady<T>) -> MaybeReady<T>
    where
        T: Send + Unpin + 'static,
    {
        match *self.state.borrow() {
            State::Mute => ask(&self.inner),
            _ => self.ask(ask),
        }
    }

    fn ask<T>(&self, ask: impl FnOnce(&Store) -> MaybeReady<T>) -> MaybeReady<T>
    where
        T: Send + Unpin + 'static,
    {
        let state = *self.state.borrow();
        let mut states = self.state.subscribe();
        match state {
            State::Up => ask(&self.inner),
            State::Failing => MaybeReady::ready(Err(StoreError::new("refused"))),
            State::Silent => MaybeReady::new(async move {
                // An error means that the store is gone, and nobody waits.
                let _ = states.wait_for(|state| *state == State::Up).await;
                Err(StoreError::new("the connection was reset"))
            }),
            State::Mute => {
                let answer = ask(&self.inner);
                MaybeReady::new(async move {
                    drop(answer.await);
                    Err(StoreError::new("the connection was reset"))
                })
            }
        }
    }
}

impl SessionStore for Unsteady {
    fn touch(&self, session: StoreKey, touch: Touch) -> MaybeReady<TouchOutcome> {
        self.ask(|inner| inner.touch(session, touch))
    }

    fn get(&self, session: StoreKey) -> MaybeReady<StoredSession> {
        self.read(|inner| inner.get(session))
    }

    fn write_tombstone(&self, session: StoreKey, until: Timestamp) -> MaybeReady<()> {
        self.ask(|inner| inner.write_tombstone(session, until))
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        self.inner.revocations()
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        self.inner.account_policies()
    }
}

impl LifecycleStore for Unsteady {
    fn begin(&self, record: SessionRecord, log: AuditRecord) -> MaybeReady<Timestamp> {
        self.ask(|inner| inner.begin(record, log))
    }

    fn refresh_state(&self, ask: RefreshAsk) -> MaybeReady<RefreshState> {
        self.read(|inner| inner.refresh_state(ask))
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        self.ask(|inner| inner.rotate(rotation))
    }

    fn revoke(&self, session: StoreKey, until: Timestamp, log: AuditRecord) -> MaybeReady<bool> {
        self.ask(|inner| inner.revoke(session, until, log))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        self.ask(|inner| inner.revoke_all(revocation))
    }

    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        self.read(|inner| inner.sessions(scope, query, now))
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        self.read(|inner| inner.session(session, now))
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> MaybeReady<Vec<ActiveUser>> {
        self.read(|inner| inner.active_users(account, limit, now))
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        self.read(|inner| inner.overrides(account))
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        self.ask(|inner| inner.set_overrides(change))
    }

    fn append(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        self.ask(|inner| inner.append(rows))
    }

    fn log(&self, log: LogScope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        self.read(|inner| inner.log(log, query))
    }
}
