//! A store with outages.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::sync::watch;
use tower_sliding_session::{
    MaybeReady, Timestamp,
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, SessionKeys, StoreKey},
    policy::TimeoutOverrides,
    store::{
        AccountPolicies, ActiveUser, BulkRevocation, ClaimsChange, ClaimsChanges, LifecycleQueries,
        LifecycleStore, ListQuery, OpenTicket, OverridesChange, Page, RefreshQuery, RefreshState,
        Revocations, Rotated, Rotation, SessionRecord, SessionStore, SignIn, SignInOutcome,
        StoreError, StoreOutage, StoredSession, TicketUse, Tombstone, Touch, TouchOutcome,
    },
};

use crate::empty_stores::Store;

/// The time limit of the lifecycle for one answer.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// Every call fails and changes nothing.
    Failing,
    /// No call is answered or changes anything until the store is up again. It then fails, like
    /// a call on a broken connection.
    NeverAnswering,
    /// The state of a session is answered when this is over; everything else fails.
    Holding,
    /// Writes are done but their answers are lost; reads are answered.
    LosingAnswers,
    /// Everything is answered, but no session of an earlier system is recorded.
    RefusingRecords,
}

/// A store with outages in front of any other store.
pub(crate) struct UnreliableStore {
    inner: Store,
    state: watch::Sender<State>,
    outage: Mutex<Option<StoreOutage>>,
    failing_user: Mutex<Option<StoreKey>>,
    flushes: AtomicUsize,
    adoptions: AtomicUsize,
    rotations: AtomicUsize,
}

impl UnreliableStore {
    pub(crate) fn new(inner: Store) -> Arc<Self> {
        let state = watch::Sender::new(State::Up);
        let (outage, failing_user) = (Mutex::default(), Mutex::default());
        let [flushes, adoptions, rotations] = [0, 0, 0].map(AtomicUsize::new);
        Arc::new(Self { inner, state, outage, failing_user, flushes, adoptions, rotations })
    }

    /// Lets every activity of a user fail, as where the server of a cluster is lost that has it.
    pub(crate) fn fail_for(&self, user: StoreKey) {
        *self.failing_user.lock().expect("no panic") = Some(user);
    }

    /// How often activities were to be written at once.
    pub(crate) fn flushes(&self) -> usize {
        self.flushes.load(SeqCst)
    }

    /// Sets what it tells of its last outage.
    pub(crate) fn set_outage(&self, outage: StoreOutage) {
        *self.outage.lock().expect("no panic") = Some(outage);
    }

    /// How often a session of an earlier system was to be recorded.
    pub(crate) fn adoptions(&self) -> usize {
        self.adoptions.load(SeqCst)
    }

    /// How often a refresh token was to be exchanged.
    pub(crate) fn rotations(&self) -> usize {
        self.rotations.load(SeqCst)
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.send_replace(state);
    }

    /// Runs a read.
    fn read<T>(&self, ask: impl FnOnce(&Store) -> MaybeReady<T>) -> MaybeReady<T>
    where
        T: Send + Unpin + 'static,
    {
        match *self.state.borrow() {
            State::LosingAnswers => ask(&self.inner),
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
            State::Up | State::RefusingRecords => ask(&self.inner),
            State::Failing | State::Holding => MaybeReady::ready(Err(StoreError::new("refused"))),
            State::NeverAnswering => MaybeReady::new(async move {
                // An error means that the state was dropped, and nothing waits any more.
                let _ = states.wait_for(|state| *state == State::Up).await;
                Err(StoreError::new("the connection was reset"))
            }),
            State::LosingAnswers => {
                let answer = ask(&self.inner);
                MaybeReady::new(async move {
                    drop(answer.await);
                    Err(StoreError::new("the connection was reset"))
                })
            }
        }
    }
}

impl SessionStore for UnreliableStore {
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        if *self.failing_user.lock().expect("no panic") == Some(keys.user) {
            return MaybeReady::ready(Err(StoreError::new("refused")));
        }
        self.ask(|inner| inner.touch(keys, touch))
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        self.read(|inner| inner.get(keys))
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        self.ask(|inner| inner.write_tombstone(tombstone))
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        self.inner.revocations()
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        self.inner.account_policies()
    }

    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        self.inner.claims_changes()
    }

    fn flush(&self) -> MaybeReady<()> {
        self.flushes.fetch_add(1, SeqCst);
        self.ask(SessionStore::flush)
    }

    fn last_outage(&self) -> Option<StoreOutage> {
        *self.outage.lock().expect("no panic")
    }
}

impl LifecycleStore for UnreliableStore {
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome> {
        self.ask(|inner| inner.begin(sign_in))
    }

    fn adopt(&self, record: SessionRecord) -> MaybeReady<()> {
        self.adoptions.fetch_add(1, SeqCst);
        if *self.state.borrow() == State::RefusingRecords {
            return MaybeReady::ready(Err(StoreError::new("refused")));
        }
        self.ask(|inner| inner.adopt(record))
    }

    fn refresh_state(&self, ask: RefreshQuery) -> MaybeReady<RefreshState> {
        if *self.state.borrow() == State::Holding {
            let (inner, mut states) = (Arc::clone(&self.inner), self.state.subscribe());
            return MaybeReady::new(async move {
                // As above.
                let _ = states.wait_for(|state| *state != State::Holding).await;
                inner.refresh_state(ask).await
            });
        }
        self.read(|inner| inner.refresh_state(ask))
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        self.rotations.fetch_add(1, SeqCst);
        self.ask(|inner| inner.rotate(rotation))
    }

    fn revoke(&self, tombstone: Tombstone, log: AuditRecord) -> MaybeReady<bool> {
        self.ask(|inner| inner.revoke(tombstone, log))
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        self.ask(|inner| inner.revoke_all(revocation))
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        self.read(|inner| inner.overrides(account))
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        self.ask(|inner| inner.set_overrides(change))
    }

    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp> {
        self.ask(|inner| inner.change_claims(change))
    }

    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()> {
        self.ask(|inner| inner.open_ticket(ticket))
    }

    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool> {
        self.ask(|inner| inner.use_ticket(used))
    }

    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        self.ask(|inner| inner.append_audit(records))
    }

    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        self.ask(|inner| inner.append_activity(entries))
    }
}

impl LifecycleQueries for UnreliableStore {
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
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        let users = |inner: &Store| inner.active_users(account, limit, now);
        let users = |inner: &Store| users(inner).expect("the store has a query");
        Some(self.read(users))
    }

    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        self.read(|inner| inner.audit_log(scope, query))
    }

    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        self.read(|inner| inner.activity_log(scope, query))
    }
}
