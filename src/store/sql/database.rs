//! One interface to SQLite and Postgres; the only file that knows their differences.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

#[cfg(feature = "postgres")]
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Transaction};

use super::{
    address::DatabaseKind,
    failure::Failure,
    value::{Args, Row, Sql},
};
#[cfg(feature = "sqlite")]
use crate::maybe_ready::LIFECYCLE_TIME_LIMIT;
#[cfg(not(all(feature = "sqlite", feature = "postgres")))]
use crate::maybe_ready::StoreError;
use crate::time::Timestamp;

/// How long a statement waits for a connection, including a new one.
const CONNECTION_TIME_LIMIT: Duration = Duration::from_secs(2);

/// How long a write to a SQLite file waits for writes of other processes.
#[cfg(feature = "sqlite")]
const LOCK_TIME_LIMIT: Duration = Duration::from_secs(2);

#[cfg(feature = "sqlite")]
const SQLITE_READERS: u32 = 4;

/// The key of the Postgres advisory locks of this store.
#[cfg(feature = "postgres")]
const POSTGRES_LOCK: &str = "8391540620385125";

/// Called with the number of each statement before it is sent.
pub(super) type BeforeStatement = Arc<dyn Fn(u64) + Send + Sync>;

pub(super) struct Database {
    pools: Pools,
    meter: Arc<Meter>,
}

enum Pools {
    /// A SQLite file has one writer at a time. The writers of this process wait for the one
    /// connection instead of polling the file.
    #[cfg(feature = "sqlite")]
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    #[cfg(feature = "postgres")]
    Postgres(PgPool),
}

struct Meter {
    statements: AtomicU64,
    before: Option<BeforeStatement>,
}

impl Meter {
    fn count(&self) {
        let number = self.statements.fetch_add(1, Relaxed) + 1;
        if let Some(before) = &self.before {
            before(number);
        }
    }
}

/// A transaction; rolled back when dropped.
pub(super) struct Tx {
    link: Link,
    meter: Arc<Meter>,
    /// When it began, by the store's clock: for retention, never for an answer.
    pub(super) begun: Timestamp,
}

enum Link {
    #[cfg(feature = "sqlite")]
    Sqlite(Transaction<'static, Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Transaction<'static, Postgres>),
}

/// How a transaction excludes others.
#[derive(Clone, Copy)]
pub(super) enum Lock {
    /// Waits for [`Lock::Alone`], and lets others like it pass.
    WithOthers,
    /// Waits for both.
    Alone,
}

impl Database {
    pub(super) async fn connect(
        address: &str,
        before: Option<BeforeStatement>,
    ) -> Result<Self, Failure> {
        let meter = Arc::new(Meter { statements: AtomicU64::new(0), before });
        let pools = match DatabaseKind::from_address(address)? {
            DatabaseKind::Postgres => postgres(address).await?,
            DatabaseKind::Sqlite => sqlite(address).await?,
        };
        Ok(Self { pools, meter })
    }

    pub(super) fn statements(&self) -> u64 {
        self.meter.statements.load(Relaxed)
    }

    /// Replaces the placeholders of column types in a data definition.
    pub(super) fn definition(&self, text: &str) -> String {
        let (blob, serial) = match self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { .. } => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            #[cfg(feature = "postgres")]
            Pools::Postgres(_) => ("BYTEA", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
        };
        text.replace("{BLOB}", blob).replace("{SERIAL}", serial)
    }

    pub(super) async fn begin(&self, now: Timestamp) -> Result<Tx, Failure> {
        self.meter.count();
        let link = match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, .. } => {
                Link::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => {
                Link::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?)
            }
        };
        Ok(Tx { link, meter: Arc::clone(&self.meter), begun: now })
    }

    /// Reads outside of a transaction.
    pub(super) async fn fetch(&self, sql: impl Into<Sql>, args: Args) -> Result<Vec<Row>, Failure> {
        let sql = sql.into();
        self.meter.count();
        Ok(match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { readers, .. } => {
                let rows = args.bind::<Sqlite>(&sql).fetch_all(readers).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => {
                let rows = args.bind::<Postgres>(&sql).fetch_all(pool).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Executes a statement as a transaction of its own. Returns the number of rows written.
    pub(super) async fn execute(&self, sql: impl Into<Sql>, args: Args) -> Result<u64, Failure> {
        let sql = sql.into();
        self.meter.count();
        Ok(match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, .. } => {
                args.bind::<Sqlite>(&sql).execute(writer).await?.rows_affected()
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => {
                args.bind::<Postgres>(&sql).execute(pool).await?.rows_affected()
            }
        })
    }

    #[cfg(test)]
    pub(super) async fn close(&self) {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            #[cfg(feature = "postgres")]
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub(super) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<Vec<Row>, Failure> {
        let sql = sql.into();
        self.meter.count();
        Ok(match &mut self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(tx) => {
                let rows = args.bind::<Sqlite>(&sql).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            Link::Postgres(tx) => {
                let rows = args.bind::<Postgres>(&sql).fetch_all(&mut **tx).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Fetches the first row, if there is one.
    pub(super) async fn first(
        &mut self,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }

    /// Executes a statement. Returns the number of rows written.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<u64, Failure> {
        let sql = sql.into();
        self.meter.count();
        Ok(match &mut self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(tx) => args.bind::<Sqlite>(&sql).execute(&mut **tx).await?.rows_affected(),
            #[cfg(feature = "postgres")]
            Link::Postgres(tx) => {
                args.bind::<Postgres>(&sql).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// Locks the store until the end of the transaction. SQLite runs one writing transaction at a
    /// time and needs no lock.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_async, reason = "only Postgres locks")
    )]
    pub(super) async fn lock(&mut self, lock: Lock) -> Result<(), Failure> {
        match self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(_) => {
                let _ = lock;
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Link::Postgres(_) => {
                let shared = if matches!(lock, Lock::WithOthers) { "_shared" } else { "" };
                let sql = format!("SELECT pg_advisory_xact_lock{shared}({POSTGRES_LOCK})");
                self.execute(sql, Args::new()).await.map(drop)
            }
        }
    }

    pub(super) async fn commit(self) -> Result<(), Failure> {
        self.meter.count();
        match self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(tx) => tx.commit().await?,
            #[cfg(feature = "postgres")]
            Link::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

#[cfg(feature = "sqlite")]
async fn sqlite(address: &str) -> Result<Pools, Failure> {
    let options: SqliteConnectOptions = if address.starts_with("sqlite:") {
        address.parse()?
    } else {
        SqliteConnectOptions::new().filename(address)
    };
    #[cfg(unix)]
    create_private(options.get_filename());
    // In WAL mode, NORMAL may lose the last transactions at a power failure, and revocations with
    // them.
    let options = options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(LOCK_TIME_LIMIT)
        .disable_statement_logging();
    let pool = || SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None);
    // Waiting for the one writer is not an outage, so it may take as long as a caller waits.
    let writer = pool().max_connections(1).acquire_timeout(LIFECYCLE_TIME_LIMIT);
    let writer = writer.connect_with(options.clone()).await?;
    let readers = pool().max_connections(SQLITE_READERS).acquire_timeout(CONNECTION_TIME_LIMIT);
    let readers = readers.connect_lazy_with(options);
    Ok(Pools::Sqlite { writer, readers })
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
async fn sqlite(_: &str) -> Result<Pools, Failure> {
    Err(StoreError::new("a SQLite file needs the feature `sqlite`").into())
}

#[cfg(feature = "postgres")]
async fn postgres(address: &str) -> Result<Pools, Failure> {
    let options: PgConnectOptions = address.parse()?;
    let options = options.application_name("tower-sliding-session").disable_statement_logging();
    let pool = PgPoolOptions::new().acquire_timeout(CONNECTION_TIME_LIMIT);
    Ok(Pools::Postgres(pool.connect_with(options).await?))
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "async with the feature")]
async fn postgres(_: &str) -> Result<Pools, Failure> {
    Err(StoreError::new("Postgres needs the feature `postgres`").into())
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite { .. } => "SQLite",
            #[cfg(feature = "postgres")]
            Pools::Postgres(_) => "Postgres",
        })
    }
}
