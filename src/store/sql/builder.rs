//! The settings of the SQL store.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::sync::Mutex;

use super::{
    CALLS_PER_USER, Inner, LISTS_PER_USER, SESSION_LOCKS, SqlStore,
    connect::Settings,
    database::{BeforeStatement, Database},
    schema,
    sync::{SyncState, keep_up_to_date},
    user_limit::UserLimit,
};
use crate::{
    clock::{Clock, SystemClock},
    maybe_ready::StoreError,
    store::node_cache::NodeCache,
};

/// Builds a [`SqlStore`]; created by [`SqlStore::at`].
#[must_use]
pub struct SqlStoreBuilder {
    address: String,
    clock: Arc<dyn Clock>,
    sync_interval: Duration,
    settings: Settings,
    before_statement: Option<BeforeStatement>,
}

impl SqlStoreBuilder {
    pub(super) fn new(address: String) -> Self {
        Self {
            address,
            clock: Arc::new(SystemClock),
            sync_interval: Duration::from_secs(1),
            settings: Settings::default(),
            before_statement: None,
        }
    }

    /// Sets the clock; the system's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how often this node reads the changes of other nodes, with one statement; 1 s by
    /// default, at least 10 ms.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets the most connections of this node to Postgres; 10 by default, at least 5. A third of
    /// them serves requests only, at most a third is in use for lists.
    ///
    /// A SQLite file has one connection that writes, four that read and two for lists.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.settings.pool_size = connections;
        self
    }

    /// Calls `call` with the number of each statement, from 1, before it is sent; including
    /// statements that begin and commit transactions. For tests and metrics. It must not block.
    pub fn before_statement(mut self, call: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.before_statement = Some(Arc::new(call));
        self
    }

    /// Connects, and reads all revocation cutoffs and account policies if the tables exist. Spawns
    /// the background task on the current Tokio runtime, and panics without one.
    ///
    /// # Errors
    /// If the database cannot be reached, or the feature for it is not enabled.
    pub async fn connect(self) -> Result<SqlStore, StoreError> {
        let database =
            Database::connect(&self.address, self.settings, self.before_statement).await?;
        let schema_is_current = schema::is_current(&database).await;
        let store = Arc::new(Inner {
            database,
            schema_is_current,
            clock: Arc::clone(&self.clock),
            sync_interval: self.sync_interval,
            revocations: Arc::default(),
            account_policies: Arc::default(),
            node_cache: NodeCache::new(),
            sync_state: SyncState::default(),
            appended: AtomicU64::new(0),
            lists: UserLimit::new(LISTS_PER_USER),
            calls: UserLimit::new(CALLS_PER_USER),
            publishing: Mutex::default(),
            locks: std::iter::repeat_with(Mutex::default).take(SESSION_LOCKS).collect(),
            hasher: RandomState::default(),
            task: OnceLock::new(),
        });
        // Fails before the first migration; requests get errors until a reading succeeds.
        drop(store.sync().await);
        let task = keep_up_to_date(Arc::downgrade(&store), self.clock, self.sync_interval);
        let task = tokio::spawn(task).abort_handle();
        drop(store.task.set(task));
        Ok(SqlStore(store))
    }
}

impl fmt::Debug for SqlStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStoreBuilder")
            .field("sync_interval", &self.sync_interval)
            .finish_non_exhaustive()
    }
}
