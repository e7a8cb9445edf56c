//! The connections of a node, by what they are for.

use std::{pin::Pin, sync::Arc};

use sqlx::{
    ColumnIndex, Database, Decode, Encode, Executor, IntoArguments, Pool, Type,
    database::HasStatementCache,
};
use tokio::sync::{Semaphore, SemaphorePermit};

#[cfg(feature = "sqlite")]
use super::database_file::DatabaseFile;
use super::{
    ATTEMPTS,
    connection::Connection,
    failure::Failure,
    value::{Args, Sql},
};
use crate::store::{
    breaker::{ANSWER_TIME_LIMIT, Breaker},
    race::{First, race},
};

/// What a statement is for. One purpose does not take the connections of another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What a request waits for before its handler: touches, and the change feed.
    Request,
    /// Sign-in, refresh, revocation, account policies, the logs, cleanup.
    Lifecycle,
    /// Pages of lists and logs, which read many rows. At most half of a pool's connections.
    List,
}

/// The pools of either kind of database.
pub(super) enum AnyPools {
    #[cfg(feature = "sqlite")]
    Sqlite(Pools<sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Pools<sqlx::Postgres>),
}

/// The pools of one kind of database. Some of the fields are the same pool.
pub(super) struct Pools<DB: Database> {
    pub(super) request_reads: Pool<DB>,
    pub(super) request_writes: Pool<DB>,
    pub(super) lifecycle_reads: Pool<DB>,
    pub(super) lifecycle_writes: Pool<DB>,
    pub(super) lists: Pool<DB>,
    pub(super) list_permits: Semaphore,
    /// How many transactions may publish changes at the same time.
    pub(super) publishers: usize,
    /// The statement that begins a transaction.
    pub(super) begin: &'static str,
    /// Whether a statement that stands alone runs in a transaction too.
    pub(super) always_begins: bool,
    /// Whether a statement stays prepared on its connection.
    pub(super) prepares: bool,
    /// Selects whether the server is read-only or in recovery.
    pub(super) is_read_only: Option<&'static str>,
    /// None for a file.
    pub(super) breaker: Option<Arc<Breaker>>,
    /// The file of an address of SQLite.
    #[cfg(feature = "sqlite")]
    pub(super) file: Option<Arc<DatabaseFile>>,
}

impl<DB: Database> Pools<DB> {
    /// One pool of the app for everything.
    pub(super) fn of_app(pool: Pool<DB>) -> Self {
        let lists = pool.options().get_max_connections() as usize / 2;
        Self {
            request_reads: pool.clone(),
            request_writes: pool.clone(),
            lifecycle_reads: pool.clone(),
            lifecycle_writes: pool.clone(),
            lists: pool,
            list_permits: Semaphore::new(lists.max(1)),
            publishers: 1,
            begin: "BEGIN",
            always_begins: false,
            prepares: true,
            is_read_only: None,
            breaker: None,
            #[cfg(feature = "sqlite")]
            file: None,
        }
    }
}

/// How often a statement or transaction is repeated.
pub(super) struct Attempts {
    conflicts: usize,
    connections: usize,
}

impl Attempts {
    /// Each idle connection may lead to a server that does not serve any more, as after a failover;
    /// a new one is the last attempt.
    fn new<DB: Database>(pool: &Pool<DB>) -> Self {
        // sqlx counts an idle connection that is taken and returned at once below zero.
        let idle = pool.num_idle().min(pool.options().get_max_connections() as usize);
        Self { conflicts: ATTEMPTS - 1, connections: idle + 1 }
    }

    /// Whether another attempt may succeed.
    pub(super) fn allow(&mut self, failure: &Failure) -> bool {
        let left = if failure.is_conflict() {
            &mut self.conflicts
        } else if failure.is_connection_lost() {
            &mut self.connections
        } else {
            return false;
        };
        let is_allowed = *left > 0;
        *left = left.saturating_sub(1);
        is_allowed
    }
}

impl<DB> Pools<DB>
where
    DB: Database + HasStatementCache,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    bool: Type<DB> + for<'r> Decode<'r, DB>,
    usize: ColumnIndex<DB::Row>,
    Option<i64>: Encode<'static, DB> + Type<DB>,
    Option<Vec<u8>>: Encode<'static, DB> + Type<DB>,
    Option<String>: Encode<'static, DB> + Type<DB>,
{
    /// Begins a transaction, once.
    pub(super) async fn begin(&self) -> Result<Connection<DB>, Failure> {
        self.acquire(&self.lifecycle_writes, true).await
    }

    async fn acquire(&self, pool: &Pool<DB>, begins: bool) -> Result<Connection<DB>, Failure> {
        let mut connection = Connection::acquire(pool, self.prepares, self.breaker.clone()).await?;
        if begins {
            connection.begin(self.begin).await?;
        }
        Ok(connection)
    }

    /// Runs the attempts of a call, unless no server answers at present. What a request waits for is
    /// short, so a server that does not answer it in time is silent; its caller may wait on. A call of the
    /// lifecycle may wait for a lock: it ends when the server is lost.
    pub(super) async fn ask<T>(
        &self,
        is_for_request: bool,
        call: Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + '_>>,
    ) -> Result<T, Failure> {
        #[cfg(feature = "sqlite")]
        if let Some(file) = &self.file {
            file.check()?;
        }
        let Some(breaker) = &self.breaker else { return call.await };
        let asked = if is_for_request { breaker.ask() } else { breaker.ask_patiently() };
        let Some(mut asked) = asked else { return Err(Failure::from_outage()) };
        let silence = async {
            if is_for_request {
                loop {
                    tokio::time::sleep(ANSWER_TIME_LIMIT).await;
                    asked.wait();
                }
            }
            std::future::pending::<()>().await;
        };
        let outage =
            async { if is_for_request { breaker.opened().await } else { breaker.lost().await } };
        // An outage ends every call that waits: others may wait for what it holds.
        let answer = race(call, race(outage, silence)).await;
        let First::Left(answer) = answer else { return Err(Failure::from_outage()) };
        match &answer {
            Err(failure) if failure.is_unreachable() => asked.fail(),
            Err(failure) if failure.is_without_connection() => asked.fail_unless_others_succeed(),
            _ => asked.end(),
        }
        answer
    }

    /// How often a transaction may be attempted.
    pub(super) fn attempts(&self) -> Attempts {
        Attempts::new(&self.lifecycle_writes)
    }

    /// Reads outside of a transaction, from a server that may be written to.
    pub(super) async fn fetch(
        &self,
        purpose: Purpose,
        sql: &Sql,
        args: &Args,
    ) -> Result<Vec<DB::Row>, Failure> {
        let _permit = self.permit(purpose).await;
        let pool = match purpose {
            Purpose::Request => &self.request_reads,
            Purpose::Lifecycle => &self.lifecycle_reads,
            Purpose::List => &self.lists,
        };
        let mut attempts = Attempts::new(pool);
        let call = Box::pin(async {
            loop {
                match self.read(pool, sql, args).await {
                    Err(failure) if attempts.allow(&failure) => {}
                    rows => return rows,
                }
            }
        });
        self.ask(purpose == Purpose::Request, call).await
    }

    async fn read(&self, pool: &Pool<DB>, sql: &Sql, args: &Args) -> Result<Vec<DB::Row>, Failure> {
        let mut connection = self.acquire(pool, self.always_begins).await?;
        if let Some(is_read_only) = self.is_read_only
            && connection.fetch_bool(is_read_only).await?
        {
            connection.lose();
            return Err(Failure::from_read_only());
        }
        let rows = connection.fetch(sql, args).await?;
        if self.always_begins {
            connection.commit().await?;
        }
        Ok(rows)
    }

    /// Executes a statement that writes, as [`execute`](Self::execute) for the lifecycle. Returns its
    /// rows.
    pub(super) async fn fetch_written(
        &self,
        sql: &Sql,
        args: &Args,
    ) -> Result<Vec<DB::Row>, Failure> {
        let mut attempts = self.attempts();
        let call = Box::pin(async {
            loop {
                match self.write_rows(sql, args).await {
                    Err(failure) if attempts.allow(&failure) => {}
                    rows => return rows,
                }
            }
        });
        self.ask(false, call).await
    }

    async fn write_rows(&self, sql: &Sql, args: &Args) -> Result<Vec<DB::Row>, Failure> {
        let mut connection = self.acquire(&self.lifecycle_writes, self.always_begins).await?;
        let rows = connection.fetch(sql, args).await?;
        if self.always_begins {
            connection.commit().await?;
        }
        Ok(rows)
    }

    /// Executes a statement as a transaction of its own; twice if the connection is lost meanwhile.
    pub(super) async fn execute(
        &self,
        purpose: Purpose,
        sql: &Sql,
        args: &Args,
    ) -> Result<DB::QueryResult, Failure> {
        let pool = match purpose {
            Purpose::Request => &self.request_writes,
            Purpose::Lifecycle | Purpose::List => &self.lifecycle_writes,
        };
        let mut attempts = Attempts::new(pool);
        let call = Box::pin(async {
            loop {
                match self.write(pool, sql, args).await {
                    Err(failure) if attempts.allow(&failure) => {}
                    result => return result,
                }
            }
        });
        self.ask(purpose == Purpose::Request, call).await
    }

    async fn write(
        &self,
        pool: &Pool<DB>,
        sql: &Sql,
        args: &Args,
    ) -> Result<DB::QueryResult, Failure> {
        let mut connection = self.acquire(pool, self.always_begins).await?;
        let result = connection.execute(sql, args).await?;
        if self.always_begins {
            connection.commit().await?;
        }
        Ok(result)
    }

    async fn permit(&self, purpose: Purpose) -> Option<SemaphorePermit<'_>> {
        match purpose {
            Purpose::List => self.list_permits.acquire().await.ok(),
            Purpose::Request | Purpose::Lifecycle => None,
        }
    }

    #[cfg(test)]
    pub(super) async fn close(&self) {
        for pool in [&self.request_reads, &self.request_writes, &self.lists] {
            pool.close().await;
        }
        self.lifecycle_reads.close().await;
        self.lifecycle_writes.close().await;
    }
}
