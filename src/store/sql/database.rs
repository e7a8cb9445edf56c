//! One interface to SQLite and Postgres.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

#[cfg(feature = "postgres")]
use sqlx::postgres::Postgres;
#[cfg(feature = "sqlite")]
use sqlx::sqlite::Sqlite;

#[cfg(feature = "postgres")]
use super::pools::Pools;
use super::{
    activity_limit::ActivityLimit,
    connect::{self, Settings, Source},
    connection::Connection,
    failure::Failure,
    feed_order::FeedOrder,
    pools::{AnyPools, Attempts, Purpose},
    table_names::TableNames,
    value::{Args, Row, Sql},
};
use crate::time::Timestamp;

/// Called with the number of each statement before it is sent.
pub(super) type BeforeStatement = Arc<dyn Fn(u64) + Send + Sync>;

pub(super) struct Database {
    pools: AnyPools,
    meter: Arc<Meter>,
    names: Arc<TableNames>,
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
    pub(super) names: Arc<TableNames>,
    /// When it began, by the store's clock: for retention, never for an answer.
    pub(super) begun: Timestamp,
    pub(super) activity_limit: ActivityLimit,
}

enum Link {
    #[cfg(feature = "sqlite")]
    Sqlite(Connection<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Connection<Postgres>),
}

impl Database {
    pub(super) async fn connect(
        source: Source,
        settings: Settings,
        before: Option<BeforeStatement>,
    ) -> Result<Self, Failure> {
        let meter = Arc::new(Meter { statements: AtomicU64::new(0), before });
        settings.names.check()?;
        let pools = connect::open(source, &settings).await?;
        Ok(Self { pools, meter, names: settings.names.into() })
    }

    pub(super) fn statements(&self) -> u64 {
        self.meter.statements.load(Relaxed)
    }

    /// Replaces the placeholders of column types in a data definition.
    pub(super) fn definition(&self, text: &str) -> String {
        let (blob, serial, transaction) = match self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(_) => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT", ""),
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(_) => (
                "BYTEA",
                "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                "DEFAULT CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
            ),
        };
        let text = text.replace("{BLOB}", blob).replace("{SERIAL}", serial);
        text.replace("{TRANSACTION}", transaction)
    }

    pub(super) const fn feed_order(&self) -> FeedOrder {
        match self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(_) => FeedOrder::Commits,
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(_) => FeedOrder::Transactions,
        }
    }

    /// The pools of Postgres, and the names of the tables.
    #[cfg(feature = "postgres")]
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(clippy::unnecessary_wraps, reason = "a file has none")
    )]
    pub(super) fn postgres(&self) -> Option<(&Pools<Postgres>, &TableNames)> {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(_) => None,
            AnyPools::Postgres(pools) => Some((pools, &self.names)),
        }
    }

    /// An expression for the time of the database in milliseconds; none for a file, which has no
    /// clock but that of its nodes' machine.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(clippy::unnecessary_wraps, reason = "only a file has no clock")
    )]
    pub(super) const fn now(&self) -> Option<&'static str> {
        match self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(_) => Some(POSTGRES_NOW),
        }
    }

    /// Runs the attempts of a call, unless no server answers at present.
    pub(super) async fn ask<T>(
        &self,
        is_for_request: bool,
        call: Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + '_>>,
    ) -> Result<T, Failure> {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => pools.ask(is_for_request, call).await,
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => pools.ask(is_for_request, call).await,
        }
    }

    /// How often a transaction may be attempted.
    pub(super) fn attempts(&self) -> Attempts {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => pools.attempts(),
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => pools.attempts(),
        }
    }

    pub(super) async fn begin(
        &self,
        now: Timestamp,
        activity_limit: ActivityLimit,
    ) -> Result<Tx, Failure> {
        self.meter.count();
        let link = match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => Link::Sqlite(pools.begin().await?),
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => Link::Postgres(pools.begin().await?),
        };
        let (meter, names) = (Arc::clone(&self.meter), Arc::clone(&self.names));
        Ok(Tx { link, meter, names, begun: now, activity_limit })
    }

    /// Reads for a request, outside of a transaction.
    pub(super) async fn fetch(&self, sql: impl Into<Sql>, args: Args) -> Result<Vec<Row>, Failure> {
        self.fetch_for(Purpose::Request, sql, args).await
    }

    /// Reads outside of a transaction.
    pub(super) async fn fetch_for(
        &self,
        purpose: Purpose,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<Vec<Row>, Failure> {
        let sql = self.names.apply(sql.into());
        self.meter.count();
        Ok(match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => {
                let rows = pools.fetch(purpose, &sql, &args).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => {
                let rows = pools.fetch(purpose, &sql, &args).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Executes a statement that writes, as [`execute_for`](Self::execute_for) for the lifecycle. Returns
    /// its rows.
    pub(super) async fn fetch_written(
        &self,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<Vec<Row>, Failure> {
        let sql = self.names.apply(sql.into());
        self.meter.count();
        Ok(match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => {
                let rows = pools.fetch_written(&sql, &args).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => {
                let rows = pools.fetch_written(&sql, &args).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Executes a statement for a request, as [`execute_for`](Self::execute_for).
    pub(super) async fn execute(&self, sql: impl Into<Sql>, args: Args) -> Result<u64, Failure> {
        self.execute_for(Purpose::Request, sql, args).await
    }

    /// Executes a statement as a transaction of its own. Returns the number of rows written. The
    /// statement must have the same effect if it is executed twice.
    pub(super) async fn execute_for(
        &self,
        purpose: Purpose,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<u64, Failure> {
        let sql = self.names.apply(sql.into());
        self.meter.count();
        Ok(match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => pools.execute(purpose, &sql, &args).await?.rows_affected(),
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => pools.execute(purpose, &sql, &args).await?.rows_affected(),
        })
    }

    /// Whether the file of the database was replaced since the last call.
    pub(super) fn take_replaced(&self) -> bool {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => pools.file.as_ref().is_some_and(|file| file.take_replaced()),
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(_) => false,
        }
    }

    /// How many transactions may publish changes at the same time: others find a connection.
    pub(super) fn publishers(&self) -> usize {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => pools.publishers,
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => pools.publishers,
        }
    }

    /// Completes when no outage is known.
    #[cfg(all(test, feature = "postgres"))]
    pub(super) async fn recovered(&self) {
        let (pools, _) = self.postgres().expect("only a server has outages");
        pools.breaker.as_ref().expect("a server has a breaker").closed().await;
    }

    #[cfg(test)]
    pub(super) async fn close(&self) {
        match &self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(pools) => pools.close().await,
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(pools) => pools.close().await,
        }
    }
}

/// The time of the server in milliseconds since 1970.
#[cfg(feature = "postgres")]
const POSTGRES_NOW: &str = "CAST(FLOOR(EXTRACT(EPOCH FROM clock_timestamp()) * 1000) AS BIGINT)";

impl Tx {
    /// The time of the server, or of the machine that the file is on, in milliseconds since 1970.
    pub(super) const fn now(&self) -> &'static str {
        match self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(_) => "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
            #[cfg(feature = "postgres")]
            Link::Postgres(_) => POSTGRES_NOW,
        }
    }

    pub(super) const fn feed_order(&self) -> FeedOrder {
        match self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(_) => FeedOrder::Commits,
            #[cfg(feature = "postgres")]
            Link::Postgres(_) => FeedOrder::Transactions,
        }
    }

    pub(super) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: Args,
    ) -> Result<Vec<Row>, Failure> {
        let sql = self.names.apply(sql.into());
        self.meter.count();
        Ok(match &mut self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(tx) => {
                let rows = tx.fetch(&sql, &args).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            #[cfg(feature = "postgres")]
            Link::Postgres(tx) => {
                let rows = tx.fetch(&sql, &args).await?;
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
        let sql = self.names.apply(sql.into());
        self.meter.count();
        Ok(match &mut self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(tx) => tx.execute(&sql, &args).await?.rows_affected(),
            #[cfg(feature = "postgres")]
            Link::Postgres(tx) => tx.execute(&sql, &args).await?.rows_affected(),
        })
    }

    pub(super) async fn commit(self) -> Result<(), Failure> {
        self.meter.count();
        match self.link {
            #[cfg(feature = "sqlite")]
            Link::Sqlite(mut tx) => tx.commit().await,
            #[cfg(feature = "postgres")]
            Link::Postgres(mut tx) => tx.commit().await,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.pools {
            #[cfg(feature = "sqlite")]
            AnyPools::Sqlite(_) => "SQLite",
            #[cfg(feature = "postgres")]
            AnyPools::Postgres(_) => "Postgres",
        })
    }
}
