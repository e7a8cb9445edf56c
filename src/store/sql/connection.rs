//! One connection of a pool, and what a failed or cancelled statement does to it.

use std::{sync::Arc, time::Duration};

use sqlx::{
    ColumnIndex, Connection as _, Database, Decode, Encode, Executor, IntoArguments, Pool,
    Row as _, Type, database::HasStatementCache, pool::PoolConnection,
};

use super::{
    failure::Failure,
    value::{Args, Sql},
};
use crate::{
    maybe_ready::LIFECYCLE_TIME_LIMIT,
    store::{
        breaker::Breaker,
        race::{First, race},
    },
};

/// How long the server may work on one statement. Nobody waits longer for an answer.
pub(super) const STATEMENT_TIME_LIMIT: Duration = LIFECYCLE_TIME_LIMIT;

/// How long the server may take to answer: longer than [`STATEMENT_TIME_LIMIT`], so that a slow
/// statement is the server's own error. A server that does not answer either is lost.
const ANSWER_TIME_LIMIT: Duration = STATEMENT_TIME_LIMIT.saturating_add(Duration::from_secs(1));

/// A connection. When it is dropped, it returns to its pool, rolled back, unless it is lost.
pub(super) struct Connection<DB>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// `None` once it is dropped.
    pooled: Option<PoolConnection<DB>>,
    state: State,
    /// Whether a transaction may be open.
    in_transaction: bool,
    /// Whether a statement stays prepared on the connection.
    prepares: bool,
    breaker: Option<Arc<Breaker>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A statement is not answered yet.
    Busy,
    /// The server must not be asked again on this connection.
    Lost,
}

impl<DB> Connection<DB>
where
    DB: Database + HasStatementCache,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    Option<i64>: Encode<'static, DB> + Type<DB>,
    Option<Vec<u8>>: Encode<'static, DB> + Type<DB>,
    Option<String>: Encode<'static, DB> + Type<DB>,
{
    pub(super) async fn acquire(
        pool: &Pool<DB>,
        prepares: bool,
        breaker: Option<Arc<Breaker>>,
    ) -> Result<Self, Failure> {
        let pooled = Some(pool.acquire().await.map_err(Failure::from_connecting)?);
        Ok(Self { pooled, state: State::Idle, in_transaction: false, prepares, breaker })
    }

    pub(super) async fn fetch(&mut self, sql: &Sql, args: &Args) -> Result<Vec<DB::Row>, Failure> {
        let query = args.bind(sql).persistent(self.prepares);
        let answer = in_time(query.fetch_all(self.send())).await;
        self.receive(answer)
    }

    pub(super) async fn execute(
        &mut self,
        sql: &Sql,
        args: &Args,
    ) -> Result<DB::QueryResult, Failure> {
        let query = args.bind(sql).persistent(self.prepares);
        let answer = in_time(query.execute(self.send())).await;
        self.receive(answer)
    }

    /// Begins a transaction with the statement `begin`.
    pub(super) async fn begin(&mut self, begin: &'static str) -> Result<(), Failure> {
        // From here on: a caller that gives up leaves it unknown whether one is open.
        self.in_transaction = true;
        self.execute_simply(begin).await
    }

    /// Commits. A connection that is lost meanwhile leaves it unknown whether it did.
    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        self.execute_simply("COMMIT").await.map_err(Failure::not_to_be_repeated)?;
        self.in_transaction = false;
        Ok(())
    }

    async fn execute_simply(&mut self, sql: &'static str) -> Result<(), Failure> {
        let answer = in_time(sqlx::raw_sql(sql).execute(self.send())).await;
        self.receive(answer).map(drop)
    }

    /// Returns the one value that `sql` selects. The simple protocol prepares no statement.
    pub(super) async fn fetch_bool(&mut self, sql: &'static str) -> Result<bool, Failure>
    where
        bool: Type<DB> + for<'r> Decode<'r, DB>,
        usize: ColumnIndex<DB::Row>,
    {
        let row = in_time(sqlx::raw_sql(sql).fetch_one(self.send())).await;
        Ok(self.receive(row)?.try_get(0)?)
    }

    /// Prevents every later use: the server does not serve this store any more.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost;
    }

    fn send(&mut self) -> &mut DB::Connection {
        self.state = State::Busy;
        self.pooled.as_mut().expect("it is dropped only once")
    }

    fn receive<T>(&mut self, answer: sqlx::Result<T>) -> Result<T, Failure> {
        let answer = answer.map_err(Failure::from);
        let is_lost = answer.as_ref().is_err_and(Failure::is_connection_lost);
        if let Some(breaker) = self.breaker.as_ref().filter(|_| !is_lost) {
            breaker.answer();
        }
        self.state = if is_lost { State::Lost } else { State::Idle };
        answer
    }
}

impl<DB> Drop for Connection<DB>
where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    fn drop(&mut self) {
        let Some(mut pooled) = self.pooled.take() else { return };
        if self.state == State::Lost {
            pooled.close_on_drop();
        } else if self.state == State::Busy || self.in_transaction {
            // A caller gave up. Its statement goes on, so its place in the pool stays taken until
            // the end: the pool must not open a connection for each statement that is too slow.
            let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
            let breaker = self.breaker.take();
            drop(runtime.spawn(return_when_answered(pooled, self.in_transaction, breaker)));
        }
    }
}

/// Returns a connection to its pool when its statement has ended and no transaction is open; closes
/// it if that takes too long, or if the server does not answer others either.
async fn return_when_answered<DB>(
    mut pooled: PoolConnection<DB>,
    in_transaction: bool,
    breaker: Option<Arc<Breaker>>,
) where
    DB: Database,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let answer = async {
        if in_transaction {
            // If none is open, Postgres answers with a warning, SQLite with an error.
            in_time(sqlx::raw_sql("ROLLBACK").execute(&mut *pooled)).await.map(drop)
        } else {
            in_time(pooled.ping()).await
        }
    };
    let outage = async {
        match breaker {
            Some(breaker) => breaker.opened().await,
            None => std::future::pending().await,
        }
    };
    if !matches!(race(answer, outage).await, First::Left(Ok(()))) {
        pooled.close_on_drop();
    }
}

async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let answer = tokio::time::timeout(ANSWER_TIME_LIMIT, answer).await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}
