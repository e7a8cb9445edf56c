//! The durable store, in a SQLite file or in Postgres.
//!
//! One code for both: [`database`] says where they differ. A method that writes is one transaction
//! ([`Transaction`]); what other nodes must hear of it is written in the same one ([`changes`]) and read by
//! each of them within a second ([`sync_state`]). A request's touch is answered from this node's memory
//! ([`node_cache`]) and written once in a while ([`activity`]).

mod account_policies;
mod activity;
mod activity_log;
mod audit_log;
mod builder;
mod change_feed;
mod cleanup;
mod database;
mod failure;
mod lifecycle;
mod lists;
mod logs;
mod revocation;
mod rotation;
mod schema;
mod sessions;
mod sync;
#[cfg(test)]
mod tests;
mod value;

use std::{
    fmt,
    hash::BuildHasher,
    sync::{Arc, OnceLock, atomic::AtomicU64},
    time::Duration,
};

use foldhash::fast::RandomState;
use tokio::{sync::Mutex, task::AbortHandle};

pub use self::builder::SqlStoreBuilder;
use self::{
    database::{Database, Tx},
    failure::Failure,
    schema::Migrate,
    sync::SyncState,
};
use super::{AccountPolicies, Revocations, SessionStore, StoredSession, Touch, TouchOutcome};
use crate::{
    clock::Clock,
    identity::StoreKey,
    maybe_ready::{MaybeReady, StoreError},
    store::node_cache::NodeCache,
    time::Timestamp,
};

/// How often a step is taken that stood in another's way.
const ATTEMPTS: usize = 5;

/// How many sessions can ask the database at one time without waiting for each other.
const TURNS: usize = 1024;

/// Remembers whole session lives in a SQLite file (feature `sqlite`) or in Postgres (feature
/// `postgres`), through restarts and for several nodes at once.
///
/// A revocation holds on this node when the call returns, and on every other node within the
/// [`sync_interval`](SqlStoreBuilder::sync_interval). A node that could not read revocations for
/// three of them asks the database before it admits anyone, and answers an error while it cannot.
///
/// What a request costs: nothing, while this node has seen the session within a sixtieth of its
/// idle timeout, at most a minute; one or two statements else. So after a crash a session may end
/// earlier than it should, by at most that time.
///
/// What is over is forgotten by small steps in the background: sessions after their absolute
/// deadline, tombstones, marks and used tokens after the time they were to stand, log rows after 90
/// days or 100,000 others of their log.
///
/// It holds `sid`, `sub` and the payloads of exchanged tokens, none of them signed: nobody gains a
/// token by reading it, but names may be personal data. Writing to it makes sessions live, so guard
/// it like the signing key; for Postgres across a network say `?sslmode=verify-full`.
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
    clock: Arc<dyn Clock>,
    sync_interval: Duration,
    revocations: Arc<Revocations>,
    account_policies: Arc<AccountPolicies>,
    node_cache: NodeCache,
    sync_state: SyncState,
    /// Rows appended to the logs by this node.
    appended: AtomicU64,
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
    task: OnceLock<AbortHandle>,
}

impl SqlStore {
    /// The store at `address`: `postgres://user:password@host/database`, or `sqlite:///a/file.db`,
    /// or the path of a file, which is created if it is missing. Must be called within a Tokio
    /// runtime, which the background task is spawned on. Call [`migrate`](Self::migrate) next.
    ///
    /// # Errors
    /// If the database cannot be reached, or the feature for it is not enabled.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Self::at(address).connect().await
    }

    /// The store at `address`, with settings of your own.
    pub fn at(address: impl Into<String>) -> SqlStoreBuilder {
        SqlStoreBuilder::new(address.into())
    }

    /// Creates the tables, named `tss_..`, or brings them to the version of this crate. Changes
    /// nothing where they are; several nodes may call it at once.
    ///
    /// # Errors
    /// If the database does not let it.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.0.commit(&Migrate(&self.0.database)).await?;
        self.0.sync().await
    }

    /// How many statements this handle and its clones have sent so far, those that begin and
    /// commit transactions included.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.0.database.statements()
    }
}

impl SessionStore for SqlStore {
    fn touch(&self, session: StoreKey, touch: Touch) -> MaybeReady<TouchOutcome> {
        if self.0.is_up_to_date()
            && let Some(touched) = self.0.touch_here(&session, touch)
        {
            return MaybeReady::ready(Ok(touched));
        }
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.touch(session, touch).await })
    }

    fn get(&self, session: StoreKey) -> MaybeReady<StoredSession> {
        if self.0.is_up_to_date()
            && let Some(peeked) = self.0.node_cache.get(&session, self.0.clock.now())
        {
            return MaybeReady::ready(Ok(peeked));
        }
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.get(session).await })
    }

    fn write_tombstone(&self, session: StoreKey, until: Timestamp) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke(session, until, None).await.map(drop) })
    }

    fn revocations(&self) -> Option<Arc<Revocations>> {
        Some(Arc::clone(&self.0.revocations))
    }

    fn account_policies(&self) -> Option<Arc<AccountPolicies>> {
        Some(Arc::clone(&self.0.account_policies))
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

/// Something that happens whole or not at all: one transaction.
trait Transaction: Sync {
    type Answer;

    /// May be called again, in a new transaction, where the first one stood in another's way.
    fn run(&self, tx: &mut Tx) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

impl Inner {
    async fn commit<S: Transaction>(&self, step: &S) -> Result<S::Answer, StoreError> {
        let mut attempts = 1;
        loop {
            match self.attempt(step).await {
                Err(failure) if failure.may_repeat && attempts < ATTEMPTS => attempts += 1,
                answer => return Ok(answer?),
            }
        }
    }

    async fn attempt<S: Transaction>(&self, step: &S) -> Result<S::Answer, Failure> {
        let mut tx = self.database.begin(self.clock.now()).await?;
        let answer = step.run(&mut tx).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// What those who ask the database about one session wait for; shared by few others.
    fn turn_of(&self, session: &StoreKey) -> &Mutex<()> {
        let turn = self.hasher.hash_one(session) % TURNS as u64;
        #[expect(clippy::cast_possible_truncation, reason = "below TURNS")]
        &self.turns[turn as usize]
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}
