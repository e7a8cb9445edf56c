//! The settings of the Redis store.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use dashmap::DashMap;
use tokio::sync::{Mutex, RwLock};

use super::{
    CALLS_PER_USER, Inner, LISTS_PER_USER, OnDataLoss, RedisStore,
    assertions::Assertions,
    endpoint::Endpoint,
    late_rows::LateRows,
    push::wait_for_changes,
    repairs::{Repairs, make_repairs},
    replicas::Replicas,
    rounds::Rounds,
    server_watch::ServerWatch,
};
use crate::{
    clock::{Clock, SystemClock},
    maybe_ready::StoreError,
    store::{
        UserLimit,
        node::{NodeState, SharedStore as _, keep_up_to_date},
    },
};

/// Builds a [`RedisStore`]; created by [`RedisStore::at`].
#[must_use]
pub struct RedisStoreBuilder {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    sync_interval: Duration,
    lists_everything: bool,
    keeps_audit_log: bool,
    on_data_loss: OnDataLoss,
    replicas: u32,
}

impl RedisStoreBuilder {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let sync_interval = Duration::from_secs(1);
        Self {
            endpoint,
            clock: Arc::new(SystemClock),
            sync_interval,
            lists_everything: false,
            keeps_audit_log: false,
            on_data_loss: OnDataLoss::default(),
            replicas: 0,
        }
    }

    /// Sets the clock; the system's by default. It must be the clock of the layers.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how often this node reads the changes of other nodes, with one command; 1 s by default, at
    /// least 10 ms.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Keeps a list of all sessions, of about 150 bytes for each; off by default. Without it
    /// [`sessions`](crate::store::LifecycleQueries::sessions) and the logs of
    /// [everything](crate::identity::Scope::Everything) are errors, and a
    /// [revocation](crate::store::LifecycleStore::revoke_all) of everything, which reaches every session
    /// all the same, counts none.
    pub const fn list_everything(mut self, lists: bool) -> Self {
        self.lists_everything = lists;
        self
    }

    /// Keeps the audit log in Redis, too: some 330 bytes for the first row of a user and 120 for each
    /// further one, for 90 days; off by default. Without it the
    /// [audit log](crate::store::LifecycleQueries::audit_log) of the store is an error. Every
    /// [sink](crate::audit::AuditSink) receives every record in any case, `tracing` among them.
    pub const fn audit_log(mut self, keeps: bool) -> Self {
        self.keeps_audit_log = keeps;
        self
    }

    /// Sets what becomes of the sessions from before when Redis has lost everything while no node ran;
    /// [`OnDataLoss::Trust`] by default. All nodes of one app use the same.
    pub fn on_data_loss(mut self, on_data_loss: OnDataLoss) -> Self {
        self.on_data_loss = on_data_loss;
        self
    }

    /// Sets how many replicas must have an ending before it is answered; 0 by default, at most as many as
    /// each primary has. Redis answers before its replicas have what it has written, so a failover may lose
    /// it; this node asserts each ending once more after 30 s in any case.
    ///
    /// It counts for a sign-out, a [revocation](crate::store::LifecycleStore::revoke) and a
    /// [bulk revocation](crate::store::LifecycleStore::revoke_all), on a cluster for each primary that
    /// they write to. If too few replicas have confirmed the ending within 2 s, the answer is an error, a 503 with
    /// `store_unavailable`: the ending is written and effective, and may be repeated until they have. A
    /// sign-in that ends other sessions, by `max_sessions` or as a step-up, waits as long and is answered in any
    /// case: its session has begun, and what it replaces has ended.
    ///
    /// Each ending waits for one more round trip, which those that wait at the same time share. The user of
    /// Redis needs the right to `WAIT`.
    pub const fn wait_for_replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets what every key begins with; `tss` by default. All nodes of one app use the same, and no
    /// other app: at least one of `a-z`, `A-Z`, `0-9`, `_`, `-`, `.` and `:`, at most 64.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.endpoint.namespace = namespace.into();
        self
    }

    /// Sets how long the server may take to answer a command; 240 ms by default. A
    /// request waits for at most 250 ms in any case.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.endpoint.settings.time_limit = limit;
        self
    }

    /// Sets the certificate, in PEM, that the certificates of the servers are signed with; by default
    /// those of the system. It counts for `rediss://`.
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.endpoint.settings.root_certificate = Some(pem.into());
        self
    }

    /// Connects, and reads all revocation cutoffs and account policies; panics outside of a Tokio
    /// runtime. If Redis was empty until just now, waits for two sync intervals: nodes that run may have to
    /// write back what it has lost; and while one does so, for a minute at most.
    ///
    /// # Errors
    /// As [`RedisStore::connect`]; if the namespace has other characters or another length; and if the
    /// server runs no scripts, or forbids this user what the store needs.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let (connection, keys) = self.endpoint.connect().await?;
        let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
        let replicas = Replicas::new(self.replicas, &connection).await?;
        let store = Arc::new(Inner {
            node: NodeState::new(Arc::clone(&self.clock), self.sync_interval),
            connection,
            keys,
            position: Mutex::default(),
            readings: Rounds::default(),
            servers: ServerWatch::default(),
            assertions: Assertions::default(),
            repairs: Repairs::default(),
            late_rows: LateRows::default(),
            replicas,
            counting: RwLock::default(),
            counts: Arc::default(),
            publishing: Arc::default(),
            changing_claims: Mutex::default(),
            lists: UserLimit::new(LISTS_PER_USER),
            calls: UserLimit::new(CALLS_PER_USER),
            limited_sign_ins: UserLimit::new(1),
            unplaced: DashMap::default(),
            lists_everything: self.lists_everything,
            keeps_audit_log: self.keeps_audit_log,
            rows: AtomicU64::new(0),
            random,
            tasks: OnceLock::new(),
        });
        store.check_scripts().await?;
        store.sync().await?;
        store.settle(self.on_data_loss).await?;
        let task = keep_up_to_date(Arc::downgrade(&store), self.clock, self.sync_interval);
        let push = wait_for_changes(Arc::downgrade(&store), store.connection.open_another().await?);
        let repairs = make_repairs(Arc::downgrade(&store));
        let tasks = [tokio::spawn(task), tokio::spawn(push), tokio::spawn(repairs)];
        let tasks = tasks.map(|task| task.abort_handle());
        drop(store.tasks.set(tasks));
        Ok(RedisStore(store))
    }
}

/// Hides the address, which may contain a password.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("namespace", &self.endpoint.namespace)
            .field("sync_interval", &self.sync_interval)
            .finish_non_exhaustive()
    }
}
