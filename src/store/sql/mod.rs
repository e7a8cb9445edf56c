//! The SQL store: a SQLite file or Postgres.
//!
//! One implementation for both; [`database`] has the differences. A method that writes is one
//! [`Transaction`]. It publishes its [`Change`](change::Change)s for other nodes in the same
//! transaction; each node reads the change feed ([`feed_reader`]) within each sync interval ([`sync`]). The
//! touch of a request is answered from the node cache and written once per touch interval ([`activity`]).

mod account_policies;
mod activity;
mod activity_limit;
mod activity_log;
mod address;
mod audit_log;
mod builder;
mod bulk_revocation;
mod change;
mod change_feed;
mod claims;
mod cleanup;
mod connect;
mod connection;
mod database;
#[cfg(feature = "sqlite")]
mod database_file;
mod database_pool;
mod description;
mod exchanges_written_back;
mod failure;
mod feed_order;
mod feed_reader;
mod folding;
mod lifecycle;
mod lists;
mod locks;
mod logs;
mod pools;
#[cfg(feature = "postgres")]
mod push;
mod revocation;
mod revocation_queue;
mod rotation;
mod schema;
mod session_reads;
mod sessions;
mod sign_in;
mod sync;
mod table_names;
#[cfg(test)]
mod tests;
mod tickets;
mod value;
mod write_back;

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{Mutex, Semaphore, SemaphorePermit},
    task::AbortHandle,
};

pub use self::{builder::SqlStoreBuilder, database_pool::DatabasePool};
use self::{
    connect::Source,
    database::{Database, Tx},
    failure::Failure,
    feed_reader::ChangePosition,
    revocation_queue::RevocationQueue,
    schema::Migrate,
    session_reads::SessionReads,
};
use super::{
    AccountPolicies, ClaimsChanges, Revocations, SessionStore, StoreOutage, StoredSession,
    Tombstone, Touch, TouchOutcome,
};
use crate::{
    identity::SessionKeys,
    maybe_ready::{MaybeReady, StoreError},
    store::{
        UserLimit,
        node::{self, NodeState, SharedStore as _},
    },
    time::Timestamp,
};

/// How often a transaction is attempted that conflicts with others.
const ATTEMPTS: usize = 5;

/// How many lists of one user are in flight.
const LISTS_PER_USER: usize = 1;

/// How many other calls of one user to the lifecycle are in flight.
const CALLS_PER_USER: usize = 2;

/// Stores sessions in a SQLite file (feature `sqlite`) or in Postgres (feature `postgres`): durable,
/// and shared by several nodes.
///
/// A revocation is effective on this node when the call returns, and on every other node within
/// the [`sync_interval`](SqlStoreBuilder::sync_interval). Postgres pushes it there at once, by a
/// notification on one more connection of each node; where none is heard, as behind a transaction
/// pooler, the log and [`describe`](SessionStore::describe) say so. A connection that is silent is noticed
/// within 7 s. A node that could not read the change
/// feed for three intervals reads the database before it admits a request, and returns an error if
/// it cannot. It returns an error, too, while its clock is further from that of Postgres than the
/// `max_clock_skew` of the policies: each reading of the change feed compares them, and a clock that
/// jumps by more than three intervals, or back, makes the last reading too old. No activity is written
/// that is later than the clock of Postgres by more than the skew.
///
/// A request waits for a statement that reads its session, unless this node has read it before. One
/// statement reads every session that waits: after a restart each user's first request does.
/// Activities are written in the background, one per session and touch interval (a sixtieth of the
/// idle timeout, at most a minute), many in one statement, every 200 ms. A write that fails is repeated, and no
/// request is rejected for it. Call [`flush`](SessionStore::flush) at shutdown: after a crash a
/// session may expire earlier, by at most the touch interval.
///
/// A database can lose what it has committed: an older copy is restored, or a standby takes over that
/// lacks the last commits. Each node holds the tombstones (at most 1,088 of a user and 1,048,576 in all),
/// cutoffs, exemptions, numbers of claims and account policies that it has heard of, until they expire; and of
/// each session whose refresh token it has exchanged, or has read of, the last exchange and the record (64 of a
/// user and 262,144 in all, in some 700 bytes each). By the random id that [`migrate`](Self::migrate) gives the
/// tables, its position in the change feed and the last change that it has read it finds a loss, and writes back
/// what is missing, the exchanges last and in the background; refreshes fail for two sync intervals. After a
/// start of Postgres, or a copy that SQLite restores into the file (`.restore`), it compares what it holds in any
/// case; so it does when the file of SQLite is replaced. Whoever replaces it removes its `-wal` and `-shm` files
/// first, and never writes over it (`cp`) while a node runs. What was lost while no node ran, no node finds: after restoring a copy, revoke everything if sessions were
/// ended since; nor a copy of rows that undoes nothing but activities and exchanges. New tables are a first start.
///
/// Requests have connections of their own in the pool. Of one user two calls to the lifecycle and one
/// list are in flight at a time; others wait. Sign-outs that wait are committed together, at most 64 by one
/// statement. A statement that takes longer than 5 s fails.
///
/// Of one user it keeps at most 64 tombstones of sessions that began here: the next folds them into
/// one. Of other sessions it keeps 1,024 of one user; then ending one fails, and the session goes on.
///
/// A background task removes expired rows in small steps: sessions after their absolute deadline;
/// tombstones and revocation cutoffs when they expire; log rows after 90 days.
/// Of more than 100,000 activity entries, audit records, or audit records of refusals and renewals,
/// it removes the oldest of the account, and in it of the user, with the most.
///
/// The database contains `sid`, `sub` and the payloads of exchanged tokens. None of them is
/// signed, so a reader gains no token, but names may be personal data. Whoever can write to it can
/// create sessions, so protect it like the signing key; for Postgres across a network use
/// `?sslmode=verify-full`.
///
/// Clones share one store. The background task and the connections end with the last of them.
///
/// ```no_run
/// use tower_sliding_session::store::SqlStore;
///
/// # async fn open() -> Result<(), tower_sliding_session::store::StoreError> {
/// let store = SqlStore::connect("sqlite:///var/lib/app/sessions.db").await?;
/// store.migrate().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SqlStore(Arc<Inner>);

struct Inner {
    database: Database,
    node: NodeState,
    /// What this node has read of the change feed; `None` until everything has been read once. Locked
    /// while changes are read, so that concurrent requests read them once.
    position: Mutex<Option<ChangePosition>>,
    /// Whether the schema was up to date when this node connected.
    schema_is_current: bool,
    /// Rows appended to the logs by this node.
    appended: AtomicU64,
    /// The lists, and the other calls to the lifecycle, of each user.
    lists: UserLimit,
    calls: UserLimit,
    /// The transactions that publish changes at the same time. Others wait without a connection.
    publishers: Semaphore,
    /// Held by a transaction that waits for others in the database: here it waits without a connection.
    alone: Mutex<()>,
    /// Held while a session is adopted: the first minutes of a migration take one connection.
    adopting: Mutex<()>,
    session_reads: SessionReads,
    revocation_queue: RevocationQueue,
    task: OnceLock<AbortHandle>,
    /// None for a file, and where the clock is not that of the system: then others read when they do.
    #[cfg(feature = "postgres")]
    push: OnceLock<push::Push>,
}

impl SqlStore {
    /// Connects to `address`: `postgres://user:password@host/database`, `sqlite:///a/file.db`, or
    /// the path of a file, with a `/` or a `.` in it. A file that does not exist is created, readable
    /// by its owner only. Spawns the background task on the
    /// current Tokio runtime, and panics without one. Call [`migrate`](Self::migrate) next.
    ///
    /// # Errors
    /// If the address names no database, the database cannot be reached, or the feature for it is
    /// not enabled.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Self::at(address).connect().await
    }

    /// Creates a builder for the store at `address`.
    pub fn at(address: impl Into<String>) -> SqlStoreBuilder {
        SqlStoreBuilder::new(Source::Address(address.into()))
    }

    /// Creates a builder for a store on a connection pool of the app: a `PgPool` or a `SqlitePool`
    /// of sqlx.
    ///
    /// The store shares its connections with the app: it takes at most half of them for lists, and
    /// of one user two for other calls and one for lists, so the pool needs at least five. It
    /// changes no setting of a connection: each of its statements is a transaction, with a time
    /// limit of 5 s. A pool of SQLite needs the journal mode WAL and `synchronous` FULL: with less
    /// a power failure may revive a revoked session.
    pub fn from_pool(pool: impl Into<DatabasePool>) -> SqlStoreBuilder {
        SqlStoreBuilder::new(Source::Pool(pool.into()))
    }

    /// Creates the tables, named `tss_..`, or migrates them to the version of this crate. Several
    /// nodes may call it concurrently.
    ///
    /// Sends nothing if they were up to date when this store connected, so a role that may only
    /// read and write rows can call it. Creating tables needs a role that may create them in the
    /// schema.
    ///
    /// # Errors
    /// If the database fails or denies it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A recent reading of the change feed tells that the tables are still there.
        if self.0.schema_is_current && self.0.is_up_to_date() {
            return Ok(());
        }
        if !schema::is_current(&self.0.database).await {
            self.0.commit(&Migrate(&self.0.database)).await?;
        }
        self.0.sync().await
    }

    /// Returns the number of statements that this handle and its clones have sent, including those
    /// that begin and commit transactions of several.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.0.database.statements()
    }
}

impl SessionStore for SqlStore {
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        if self.0.is_up_to_date()
            && let Some(touched) = node::touch_cached(&self.0, keys, touch)
        {
            return MaybeReady::ready(Ok(touched));
        }
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { node::touch(&store, keys, touch).await })
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        if self.0.is_up_to_date()
            && let Some(peeked) = self.0.node_cache.get(&keys.session, self.0.clock.now())
        {
            return MaybeReady::ready(Ok(peeked));
        }
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { node::get(&store, keys).await })
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke(tombstone, None).await })
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn flush(&self) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { node::flush(&store).await })
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        Some(Arc::clone(&self.0.revocations))
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        Some(Arc::clone(&self.0.account_policies))
    }

    fn claims_changes(&self) -> Option<Arc<ClaimsChanges>> {
        Some(Arc::clone(&self.0.claims_changes))
    }

    fn activity_delay(&self, _: Duration) -> Duration {
        node::ACTIVITY_DELAY
    }

    fn describe(&self) -> Option<String> {
        Some(self.0.describe())
    }

    fn set_max_clock_skew(&self, skew: Duration) {
        self.0.store_clock.set_max_skew(skew);
    }

    fn correct_time(&self, now: Timestamp) -> Timestamp {
        self.0.store_clock.correct_time(now)
    }

    fn last_outage(&self) -> Option<StoreOutage> {
        Some(self.0.last_outage.get(self.0.clock.now()))
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("database", &self.0.database)
            .field("statements", &self.statements())
            .finish_non_exhaustive()
    }
}

/// A change that is made in one transaction.
trait Transaction: Sync {
    type Answer: Send;

    /// Runs the statements. Called again in a new transaction if the first one conflicts with
    /// another.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

impl Inner {
    async fn commit<S: Transaction>(&self, step: &S) -> Result<S::Answer, StoreError> {
        let mut attempts = self.database.attempts();
        let call = Box::pin(async {
            loop {
                match self.attempt(step).await {
                    Err(failure) if attempts.allow(&failure) => {}
                    answer => return answer,
                }
            }
        });
        Ok(self.database.ask(false, call).await?)
    }

    /// Commits a transaction that publishes changes.
    async fn commit_and_publish<S: Transaction>(&self, step: &S) -> Result<S::Answer, StoreError> {
        let _publishing = self.publish().await;
        let answer = self.commit(step).await?;
        self.announce();
        Ok(answer)
    }

    /// Tells other nodes that changes are committed, if the database can.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_self, reason = "of Postgres"))]
    fn announce(&self) {
        #[cfg(feature = "postgres")]
        if let Some(push) = self.push.get() {
            push.announce();
        }
    }

    async fn publish(&self) -> Option<SemaphorePermit<'_>> {
        self.publishers.acquire().await.ok()
    }

    /// Commits a transaction that publishes changes and excludes others like it.
    async fn commit_alone<S: Transaction>(&self, step: &S) -> Result<S::Answer, StoreError> {
        let _alone = self.alone.lock().await;
        self.commit_and_publish(step).await
    }

    async fn attempt<S: Transaction>(&self, step: &S) -> Result<S::Answer, Failure> {
        let mut tx = self.database.begin(self.clock.now(), self.activity_limit()).await?;
        let answer = step.run(&mut tx).await?;
        tx.commit().await?;
        Ok(answer)
    }
}

impl Deref for Inner {
    type Target = NodeState;

    fn deref(&self) -> &NodeState {
        &self.node
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}
