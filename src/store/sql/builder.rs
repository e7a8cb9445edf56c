//! The settings of the SQL store.

use std::{
    fmt,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::{Mutex, Semaphore};

use super::{
    CALLS_PER_USER, Inner, LISTS_PER_USER, SqlStore,
    connect::{Settings, Source},
    database::{BeforeStatement, Database},
    revocation_queue::RevocationQueue,
    schema,
    session_reads::SessionReads,
};
use crate::{
    clock::{Clock, SystemClock},
    maybe_ready::StoreError,
    store::{
        UserLimit,
        node::{NodeState, SharedStore as _, keep_up_to_date},
    },
};

/// Builds a [`SqlStore`]; created by [`SqlStore::at`].
#[must_use]
pub struct SqlStoreBuilder {
    source: Source,
    clock: Arc<dyn Clock>,
    sync_interval: Duration,
    settings: Settings,
    before_statement: Option<BeforeStatement>,
}

impl SqlStoreBuilder {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            clock: Arc::new(SystemClock),
            sync_interval: Duration::from_secs(1),
            settings: Settings::default(),
            before_statement: None,
        }
    }

    /// Sets the clock; the system's by default. It must be the clock of the layers. By a clock that does
    /// not show the time of day nothing is pushed: a test decides when a node reads.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how late this node may read the changes of other nodes: it reads them with one statement,
    /// 0.2 s earlier (or in half the time, if that is less), so that there is time for the statement.
    /// 1 s by default, at least 10 ms.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets the most connections of this node to Postgres; 10 by default, at least 5. A third of
    /// them serves requests only, at most a third is in use for lists.
    ///
    /// A SQLite file has one connection that writes, four that read and two for lists. A pool of the
    /// app has the size that the app gives it.
    pub fn pool_size(mut self, connections: u32) -> Self {
        self.settings.pool_size = connections;
        self
    }

    /// Sets whether a transaction pooler is between this node and Postgres, such as `PgBouncer` with
    /// `pool_mode = transaction`; `false` by default.
    ///
    /// If so, no statement relies on what another one has left on its connection: none stays
    /// prepared, and each runs in a transaction, which costs two more round trips where it would
    /// be alone.
    pub fn pooler(mut self, is_between: bool) -> Self {
        self.settings.pooler = is_between;
        self
    }

    /// Sets the address at which this node listens for notifications of Postgres, on one connection; by
    /// default that of the store. Behind a transaction pooler, which delivers none, an address that leads
    /// to the server: without one, changes of other nodes are read every
    /// [`sync_interval`](Self::sync_interval) and not pushed.
    pub fn listen_address(mut self, address: impl Into<String>) -> Self {
        self.settings.listen_address = Some(address.into());
        self
    }

    /// Sets the schema of the tables in Postgres, which must exist; by default the first of the
    /// connection's `search_path`.
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.settings.names.schema = Some(name.into());
        self
    }

    /// Sets the prefix of the names of tables and indexes; `tss_` by default. At most 44 of `a-z`,
    /// `0-9` and `_`, no digit first. All nodes of one app use the same.
    pub fn table_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.names.prefix = Some(prefix.into());
        self
    }

    /// Calls `call` with the number of each statement, from 1, before it is sent; including
    /// statements that begin and commit transactions of several. For tests and metrics. It must not block.
    pub fn before_statement(mut self, call: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.before_statement = Some(Arc::new(call));
        self
    }

    /// Connects, and reads all revocation cutoffs and account policies if the tables exist. Spawns
    /// the background task on the current Tokio runtime, and panics without one.
    ///
    /// # Errors
    /// If the database cannot be reached, the feature for it is not enabled, or a schema or prefix is
    /// not possible; also if a SQLite file shall have a schema or a pooler.
    pub async fn connect(self) -> Result<SqlStore, StoreError> {
        #[cfg(feature = "postgres")]
        let listen_options = super::connect::listen_options(&self.source, &self.settings)?
            .filter(|_| self.clock.is_time_of_day());
        let database = Database::connect(self.source, self.settings, self.before_statement).await?;
        let schema_is_current = schema::is_current(&database).await;
        let publishers = Semaphore::new(database.publishers());
        let store = Arc::new(Inner {
            database,
            schema_is_current,
            node: NodeState::new(Arc::clone(&self.clock), self.sync_interval),
            position: Mutex::default(),
            appended: AtomicU64::new(0),
            lists: UserLimit::new(LISTS_PER_USER),
            calls: UserLimit::new(CALLS_PER_USER),
            publishers,
            alone: Mutex::default(),
            adopting: Mutex::default(),
            session_reads: SessionReads::default(),
            revocation_queue: RevocationQueue::new(),
            task: OnceLock::new(),
            #[cfg(feature = "postgres")]
            push: OnceLock::new(),
        });
        // Fails before the first migration; requests get errors until a reading succeeds.
        drop(store.sync().await);
        let task = keep_up_to_date(Arc::downgrade(&store), self.clock, self.sync_interval);
        let task = tokio::spawn(task).abort_handle();
        drop(store.task.set(task));
        #[cfg(feature = "postgres")]
        if let Some(options) = listen_options {
            let push = super::push::Push::start(&store, options);
            push.started().await;
            drop(store.push.set(push));
        }
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
