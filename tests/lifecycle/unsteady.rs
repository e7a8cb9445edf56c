//! A store that can be away.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tower_sliding_session::{
    Timestamp,
    rules::Overrides,
    store::{
        ActiveUser, BulkRevocation, Bulletin, Key, LifecycleStore, ListQuery, LogRow, LogScope,
        OverridesChange, Page, Peeked, RefreshAsk, RefreshState, Rotated, Rotation, Scope,
        SessionRecord, SessionStore, StoreError, StoreFuture, Touch, Touched,
    },
};

use crate::stores::Store;

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
    fn read<T>(&self, ask: impl FnOnce(&Store) -> StoreFuture<T>) -> StoreFuture<T>
    where
        T: Send + Unpin + 'static,
    {
        match *self.state.borrow() {
            State::Mute => ask(&self.inner),
            _ => self.ask(ask),
        }
    }

    fn ask<T>(&self, ask: impl FnOnce(&Store) -> StoreFuture<T>) -> StoreFuture<T>
    where
        T: Send + Unpin + 'static,
    {
        let state = *self.state.borrow();
        let mut states = self.state.subscribe();
        match state {
            State::Up => ask(&self.inner),
            State::Failing => StoreFuture::ready(Err(StoreError::new("refused"))),
            State::Silent => StoreFuture::new(async move {
                // An error means that the store is gone, and nobody waits.
                let _ = states.wait_for(|state| *state == State::Up).await;
                Err(StoreError::new("the connection was reset"))
            }),
            State::Mute => {
                let answer = ask(&self.inner);
                StoreFuture::new(async move {
                    drop(answer.await);
                    Err(StoreError::new("the connection was reset"))
                })
            }
        }
    }
}

impl SessionStore for Unsteady {
    fn touch(&self, session: Key, touch: Touch) -> StoreFuture<Touched> {
        self.ask(|inner| inner.touch(session, touch))
    }

    fn peek(&self, session: Key) -> StoreFuture<Peeked> {
        self.read(|inner| inner.peek(session))
    }

    fn end(&self, session: Key, until: Timestamp) -> StoreFuture<()> {
        self.ask(|inner| inner.end(session, until))
    }

    fn bulletin(&self) -> Option<Arc<Bulletin>> {
        self.inner.bulletin()
    }
}

impl LifecycleStore for Unsteady {
    fn begin(&self, record: SessionRecord, log: LogRow) -> StoreFuture<Timestamp> {
        self.ask(|inner| inner.begin(record, log))
    }

    fn refresh_state(&self, ask: RefreshAsk) -> StoreFuture<RefreshState> {
        self.read(|inner| inner.refresh_state(ask))
    }

    fn rotate(&self, rotation: Rotation) -> StoreFuture<Rotated> {
        self.ask(|inner| inner.rotate(rotation))
    }

    fn revoke(&self, session: Key, until: Timestamp, log: LogRow) -> StoreFuture<bool> {
        self.ask(|inner| inner.revoke(session, until, log))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> StoreFuture<u64> {
        self.ask(|inner| inner.revoke_all(revocation))
    }

    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> StoreFuture<Page<SessionRecord>> {
        self.read(|inner| inner.sessions(scope, query, now))
    }

    fn session(&self, session: Key, now: Timestamp) -> StoreFuture<Option<SessionRecord>> {
        self.read(|inner| inner.session(session, now))
    }

    fn active_users(
        &self,
        account: Key,
        limit: u32,
        now: Timestamp,
    ) -> StoreFuture<Vec<ActiveUser>> {
        self.read(|inner| inner.active_users(account, limit, now))
    }

    fn overrides(&self, account: Key) -> StoreFuture<Overrides> {
        self.read(|inner| inner.overrides(account))
    }

    fn set_overrides(&self, change: OverridesChange) -> StoreFuture<bool> {
        self.ask(|inner| inner.set_overrides(change))
    }

    fn append(&self, rows: Vec<LogRow>) -> StoreFuture<()> {
        self.ask(|inner| inner.append(rows))
    }

    fn log(&self, log: LogScope, query: ListQuery) -> StoreFuture<Page<LogRow>> {
        self.read(|inner| inner.log(log, query))
    }
}
