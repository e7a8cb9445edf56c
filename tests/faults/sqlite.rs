//! A SQLite file that another process keeps locked.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::{
    node::{Connect, Store},
    redis_server::TemporaryDirectory,
    requests::{Run, survives},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_sqlite_locked() {
    let directory = TemporaryDirectory::new();
    let file = directory.file("sessions.db");
    let name = file.clone();
    let connect: Connect = Box::new(move || {
        let name = name.clone();
        Box::pin(async move { Store::sql(&name).await })
    });
    let stores = [Store::sql(&file).await, Store::sql(&file).await];
    let run = Run::prepare(connect, stores).await;
    let other = SqliteConnection::connect(&format!("sqlite:{file}")).await;
    let other = Arc::new(Mutex::new(other.expect("the file is there")));
    let execute = async |sql: &'static str| {
        let mut other = other.lock().await;
        sqlx::raw_sql(sql)
            .execute(&mut *other)
            .await
            .expect("no statement holds the file for long");
    };
    survives(
        "SQLite locked",
        run,
        async || execute("BEGIN EXCLUSIVE").await,
        async || execute("ROLLBACK").await,
    )
    .await;
}
