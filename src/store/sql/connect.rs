//! Opens the pools of an address.

#[cfg(feature = "postgres")]
use std::iter;
use std::{sync::Arc, time::Duration};

use sqlx::ConnectOptions as _;
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
#[cfg(feature = "postgres")]
use sqlx::{
    Connection as _, Row as _,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions},
};
use tokio::sync::Semaphore;

#[cfg(feature = "postgres")]
use super::connection::STATEMENT_TIME_LIMIT;
#[cfg(feature = "sqlite")]
use super::database_file::DatabaseFile;
use super::{
    address::DatabaseKind,
    database_pool::{AnyPool, DatabasePool},
    failure::Failure,
    pools::{AnyPools, Pools},
    table_names::TableNames,
};
#[cfg(feature = "sqlite")]
use crate::maybe_ready::LIFECYCLE_TIME_LIMIT;
use crate::maybe_ready::StoreError;
#[cfg(feature = "postgres")]
use crate::store::breaker::{Breaker, PROBE_TIME_LIMIT, Probe, StoreKind};

/// How long a statement waits for a connection, including a new one.
const CONNECTION_TIME_LIMIT: Duration = Duration::from_secs(2);

/// How long a write to a SQLite file waits for writes of other processes.
#[cfg(feature = "sqlite")]
const LOCK_TIME_LIMIT: Duration = Duration::from_secs(2);

#[cfg(feature = "sqlite")]
const SQLITE_READERS: u32 = 4;

/// One user has one list in flight, so lists of another user find a connection.
#[cfg(feature = "sqlite")]
const SQLITE_LISTS: u32 = 2;

/// What a store connects to.
pub(super) enum Source {
    Address(String),
    Pool(DatabasePool),
}

/// How a store connects.
pub(super) struct Settings {
    /// The most connections to Postgres.
    pub(super) pool_size: u32,
    /// Whether a transaction pooler is between this node and Postgres.
    pub(super) pooler: bool,
    /// The address for the connection that listens, if it is another one.
    pub(super) listen_address: Option<String>,
    pub(super) names: TableNames,
}

impl Default for Settings {
    fn default() -> Self {
        Self { pool_size: 10, pooler: false, listen_address: None, names: TableNames::default() }
    }
}

pub(super) async fn open(source: Source, settings: &Settings) -> Result<AnyPools, Failure> {
    match source {
        Source::Address(address) => match DatabaseKind::from_address(&address)? {
            DatabaseKind::Postgres => postgres(&address, settings).await,
            DatabaseKind::Sqlite => {
                refuse_settings_of_postgres(settings)?;
                sqlite(&address).await
            }
        },
        #[cfg(feature = "sqlite")]
        Source::Pool(DatabasePool(AnyPool::Sqlite(pool))) => {
            refuse_settings_of_postgres(settings)?;
            Ok(AnyPools::Sqlite(Pools { begin: BEGIN_SQLITE, ..Pools::of_app(pool) }))
        }
        #[cfg(feature = "postgres")]
        Source::Pool(DatabasePool(AnyPool::Postgres(pool))) => Ok(AnyPools::Postgres(Pools {
            begin: BEGIN_WITH_TIME_LIMITS,
            always_begins: true,
            prepares: !settings.pooler,
            is_read_only: Some(IS_READ_ONLY),
            breaker: Some(breaker((*pool.connect_options()).clone(), vec![pool.clone()])),
            publishers: (pool.options().get_max_connections() as usize / 2).max(1),
            ..Pools::of_app(pool)
        })),
    }
}

fn refuse_settings_of_postgres(settings: &Settings) -> Result<(), StoreError> {
    if settings.pooler || settings.listen_address.is_some() || settings.names.schema.is_some() {
        return Err(StoreError::new("a SQLite file has no schema, pooler or address to listen at"));
    }
    Ok(())
}

/// One connection for requests; for the lifecycle one of a list of a user, two of other calls of
/// that user, and one for everybody else.
#[cfg(feature = "postgres")]
const MIN_POOL_SIZE: u32 = 5;

/// The connections for the lifecycle that no change of another user takes.
#[cfg(feature = "postgres")]
const NOT_FOR_PUBLISHERS: u32 = 2;

#[cfg(feature = "sqlite")]
const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";

#[cfg(feature = "sqlite")]
async fn sqlite(address: &str) -> Result<AnyPools, Failure> {
    let options: SqliteConnectOptions = if address.starts_with("sqlite:") {
        address.parse()?
    } else {
        SqliteConnectOptions::new().filename(address)
    };
    #[cfg(unix)]
    create_private(options.get_filename());
    let file = Arc::new(DatabaseFile::new(options.get_filename()));
    // In WAL mode, NORMAL may lose the last transactions at a power failure, and revocations with
    // them.
    let options = options
        // A file that is being replaced may be missing for a moment.
        .create_if_missing(cfg!(not(unix)))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(LOCK_TIME_LIMIT)
        .disable_statement_logging();
    let pool = || {
        let file = Arc::clone(&file);
        let pool = SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None);
        pool.before_acquire(move |_, connection| {
            let is_open_on = file.is_open_on(connection.age);
            Box::pin(async move { Ok(is_open_on) })
        })
    };
    // Waiting for the one writer is not an outage, so it may take as long as a caller waits.
    let writer = pool().max_connections(1).acquire_timeout(LIFECYCLE_TIME_LIMIT);
    let writer = writer.connect_with(options.clone()).await?;
    let readers = |count| {
        let pool = pool().max_connections(count).acquire_timeout(CONNECTION_TIME_LIMIT);
        pool.connect_lazy_with(options.clone())
    };
    let request_reads = readers(SQLITE_READERS);
    Ok(AnyPools::Sqlite(Pools {
        lifecycle_reads: request_reads.clone(),
        request_reads,
        request_writes: writer.clone(),
        lifecycle_writes: writer,
        lists: readers(SQLITE_LISTS),
        list_permits: Semaphore::new(SQLITE_LISTS as usize),
        publishers: 1,
        begin: BEGIN_SQLITE,
        always_begins: false,
        prepares: true,
        is_read_only: None,
        breaker: None,
        file: Some(file),
    }))
}

/// Creates the file, if there is none, for its owner only: it names who has a session. SQLite gives
/// its other files the same mode. A failure is left to SQLite, which reports it.
#[cfg(all(feature = "sqlite", unix))]
fn create_private(file: &std::path::Path) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    drop(options.write(true).create_new(true).mode(0o600).open(file));
}

#[cfg(not(feature = "sqlite"))]
#[expect(clippy::unused_async, reason = "async with the feature")]
async fn sqlite(_: &str) -> Result<AnyPools, Failure> {
    Err(StoreError::new("a SQLite file needs the feature `sqlite`").into())
}

#[cfg(feature = "postgres")]
const BEGIN_POSTGRES: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// For a connection that others use too: the limits of [`with_time_limits`] for one transaction.
#[cfg(feature = "postgres")]
const BEGIN_WITH_TIME_LIMITS: &str = "BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL statement_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = '5s'";

#[cfg(feature = "postgres")]
async fn postgres(address: &str, settings: &Settings) -> Result<AnyPools, Failure> {
    let options = postgres_options(address, settings.pooler)?;
    let begin = if settings.pooler { BEGIN_WITH_TIME_LIMITS } else { BEGIN_POSTGRES };
    let size = settings.pool_size.max(MIN_POOL_SIZE);
    let for_requests = size / 3;
    // A connection that is lost is noticed by the statement that it is used for.
    let pool = |size| {
        let pool = PgPoolOptions::new().acquire_timeout(CONNECTION_TIME_LIMIT);
        pool.max_connections(size).test_before_acquire(false)
    };
    let requests = pool(for_requests).connect_with(options.clone()).await?;
    let lifecycle = pool(size - for_requests).connect_lazy_with(options.clone());
    let breaker = breaker(options, vec![requests.clone(), lifecycle.clone()]);
    Ok(AnyPools::Postgres(Pools {
        request_reads: requests.clone(),
        request_writes: requests,
        lifecycle_reads: lifecycle.clone(),
        lifecycle_writes: lifecycle.clone(),
        lists: lifecycle,
        list_permits: Semaphore::new((size - for_requests) as usize / 2),
        publishers: (size - for_requests - NOT_FOR_PUBLISHERS) as usize,
        begin,
        always_begins: settings.pooler,
        prepares: !settings.pooler,
        is_read_only: Some(IS_READ_ONLY),
        breaker: Some(breaker),
        #[cfg(feature = "sqlite")]
        file: None,
    }))
}

#[cfg(feature = "postgres")]
fn postgres_options(address: &str, pooler: bool) -> Result<PgConnectOptions, Failure> {
    let options: PgConnectOptions = address.parse()?;
    let options = options.application_name("tower-sliding-session").disable_statement_logging();
    // A pooler refuses most parameters of a connection.
    Ok(if pooler { options.extra_float_digits(None) } else { with_time_limits(options) })
}

/// Where to listen for notifications of Postgres; `None` for a file.
#[cfg(feature = "postgres")]
pub(super) fn listen_options(
    source: &Source,
    settings: &Settings,
) -> Result<Option<PgConnectOptions>, Failure> {
    Ok(match (source, &settings.listen_address) {
        #[cfg(feature = "sqlite")]
        (Source::Pool(DatabasePool(AnyPool::Sqlite(_))), _) => None,
        (Source::Address(address), _)
            if DatabaseKind::from_address(address)? == DatabaseKind::Sqlite =>
        {
            None
        }
        (_, Some(address)) => Some(postgres_options(address, false)?),
        (Source::Address(address), None) => Some(postgres_options(address, settings.pooler)?),
        (Source::Pool(DatabasePool(AnyPool::Postgres(pool))), None) => {
            Some((*pool.connect_options()).clone())
        }
    })
}

/// A breaker that looks for a primary on a connection of its own.
#[cfg(feature = "postgres")]
fn breaker(options: PgConnectOptions, pools: Vec<PgPool>) -> Arc<Breaker> {
    Breaker::new(StoreKind::Sql, probe(options, pools))
}

/// Looks for a primary. When there is one, the idle connections of `pools` are closed: they may lead to a
/// server that is gone.
#[cfg(feature = "postgres")]
pub(super) fn probe(options: PgConnectOptions, pools: Vec<PgPool>) -> Probe {
    Box::new(move || {
        let (options, pools) = (options.clone(), pools.clone());
        Box::pin(async move {
            let is_primary = tokio::time::timeout(PROBE_TIME_LIMIT, is_primary(&options)).await;
            let is_primary = matches!(is_primary, Ok(Ok(true)));
            if is_primary {
                for idle in pools.iter().flat_map(|pool| iter::from_fn(|| pool.try_acquire())) {
                    idle.detach();
                }
            }
            is_primary
        })
    })
}

#[cfg(feature = "postgres")]
async fn is_primary(options: &PgConnectOptions) -> sqlx::Result<bool> {
    let mut connection = PgConnection::connect_with(options).await?;
    let row = sqlx::raw_sql(IS_READ_ONLY).fetch_one(&mut connection).await?;
    Ok(!row.try_get::<bool, _>(0)?)
}

/// A standby is in recovery; a primary may be read-only too, before or after it is demoted.
#[cfg(feature = "postgres")]
const IS_READ_ONLY: &str =
    "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'";

/// Limits the time of a statement, and how long a node that stops within a transaction keeps its
/// locks; unless the address or the environment sets a limit of its own.
#[cfg(feature = "postgres")]
fn with_time_limits(options: PgConnectOptions) -> PgConnectOptions {
    let limit = STATEMENT_TIME_LIMIT.as_millis().to_string();
    let names = ["statement_timeout", "idle_in_transaction_session_timeout"];
    names.into_iter().fold(options, |options, name| {
        let is_set = options.get_options().is_some_and(|set| set.contains(name));
        if is_set { options } else { options.options([(name, &limit)]) }
    })
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "async with the feature")]
async fn postgres(_: &str, _: &Settings) -> Result<AnyPools, Failure> {
    Err(StoreError::new("Postgres needs the feature `postgres`").into())
}
