//! Pools, schemas and prefixes of the app.

use super::*;
#[cfg(feature = "postgres")]
use crate::store::sql::{SqlStoreBuilder, locks::Lock};
use crate::store::{DatabasePool, ListQuery, Rotated, SessionStore as _, StoredSession};

/// A pool of the app on the database of a test.
async fn pools_of(database: &TestDatabase) -> DatabasePool {
    #[cfg(feature = "postgres")]
    if database.schema.is_some() {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(5);
        let pool = pool.connect(&database.address).await;
        return pool.expect("the database is reachable").into();
    }
    #[cfg(feature = "sqlite")]
    {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database.address);
        let options = options.create_if_missing(true).foreign_keys(true);
        let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(5);
        pool.connect_with(options).await.expect("the file is created").into()
    }
    #[cfg(not(feature = "sqlite"))]
    unreachable!("no other database")
}

async fn on(pool: &DatabasePool, prefix: &str) -> SqlStore {
    let store = SqlStore::from_pool(pool.clone()).table_prefix(prefix).clock(clock());
    store.connect().await.expect("the pool is open")
}

#[tokio::test]
async fn a_store_works_on_a_pool_of_the_app() {
    for database in TestDatabase::all().await {
        let pool = pools_of(&database).await;
        let store = on(&pool, "tss_").await;
        store.migrate().await.expect("the migration succeeds");
        begin(&store, "s").await;
        store.touch(keys("unknown"), touch(NOW)).await.expect("the store answers");
        let rotated = store.rotate(rotation("s", 0, "first")).await.expect("the store answers");
        assert_eq!(rotated, Rotated::Done);
        let scope = Scope::User(scopes().user);
        let listed = store.sessions(scope, ListQuery::first(9), NOW).await;
        assert_eq!(listed.expect("the store answers").items.len(), 1);
        assert_eq!(store.revoke_all(of_user(Exempt::None)).await.expect("it answers"), 1);
        store.0.clean(NOW).await.expect("the cleanup succeeds");
        drop(store);
        // The pool of the app stays open, and a store of its own finds the tables.
        on(&pool, "tss_").await.migrate().await.expect("the schema is current");
        let own = database.unmigrated_node(&clock()).await;
        assert_eq!(own.migrate().await.map_err(|_| ()), Ok(()));
        let cutoff = own.revocations().and_then(|it| it.cutoff_of(&scopes().user));
        assert_eq!(cutoff, Some(NOW));
        database.remove().await;
    }
}

#[tokio::test]
async fn stores_with_different_prefixes_share_nothing() {
    for database in TestDatabase::all().await {
        let pool = pools_of(&database).await;
        let (one, other) = (on(&pool, "one_").await, on(&pool, "other_").await);
        one.migrate().await.expect("the migration succeeds");
        assert!(other.get(keys("s")).await.is_err(), "it has no tables yet");
        other.migrate().await.expect("the migration succeeds");
        begin(&one, "s").await;
        one.write_tombstone(tombstone(key("ended"), NOW + DAY)).await.expect("the store answers");
        for sid in ["s", "ended"] {
            let stored = other.get(keys(sid)).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Unknown, "{sid}");
        }
        begin(&other, "s").await;
        database.remove().await;
    }
}

/// The settings of the app's connections are its own, also after many calls of the store.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_connection_of_the_app_keeps_its_settings() {
    use sqlx::Row as _;
    for database in TestDatabase::all().await.into_iter().filter(|it| it.schema.is_some()) {
        let address = format!("{}&options[statement_timeout]=77s", database.address);
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1);
        let pool = pool.connect(&address).await.expect("the database is reachable");
        let store = SqlStore::from_pool(pool.clone()).clock(clock());
        let store = store.connect().await.expect("the pool is open");
        store.migrate().await.expect("the migration succeeds");
        begin(&store, "s").await;
        store.get(keys("unknown")).await.expect("the store answers");
        let sql = "SELECT current_setting('statement_timeout') AS a,
            current_setting('idle_in_transaction_session_timeout') AS b";
        let row = sqlx::raw_sql(sql).fetch_one(&pool).await.expect("the connection is usable");
        assert_eq!((row.get("a"), row.get("b")), ("77s".to_owned(), "0".to_owned()));
        // Within a call of the store its own limit applies.
        let sql = "SELECT current_setting('statement_timeout')";
        let rows = store.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
        let limit = rows.expect("the store answers")[0].text(0).map_err(StoreError::from);
        assert_eq!(limit.expect("it is a text"), "5s");
        database.remove().await;
    }
}

/// Lists of as many users as there are, blocked by a lock, leave half of the pool to the app.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p31_lists_take_at_most_half_of_a_pool_of_the_app() {
    use sqlx::Connection as _;
    for database in TestDatabase::all().await.into_iter().filter(|it| it.schema.is_some()) {
        let pool = sqlx::postgres::PgPoolOptions::new().max_connections(6);
        let pool = pool.connect(&database.address).await.expect("the database is reachable");
        let store = SqlStore::from_pool(pool.clone()).clock(clock());
        let store = store.connect().await.expect("the pool is open");
        store.migrate().await.expect("the migration succeeds");
        let mut other = sqlx::PgConnection::connect(&database.address).await.expect("reachable");
        let lock = sqlx::raw_sql("BEGIN; LOCK TABLE tss_activity").execute(&mut other).await;
        lock.expect("nobody holds it");
        let user = |number: usize| Scope::User(Scopes::new(None, None, &number.to_string()).user);
        let list = |number| store.activity_log(user(number), ListQuery::first(9));
        let lists: Vec<_> = (0..64).map(|number| tokio::spawn(list(number))).collect();
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        let mut app = Vec::new();
        for _ in 0..3 {
            app.push(pool.acquire().await.expect("the app finds a connection"));
        }
        drop(app);
        begin(&store, "s").await;
        store.get(keys("unknown")).await.expect("the store answers");
        assert!(lists.iter().all(|list| !list.is_finished()), "they wait for the lock");
        other.close().await.expect("the connection closes");
        for list in lists {
            list.await.expect("the task completes").expect("the store answers");
        }
        database.remove().await;
    }
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_sqlite_file_has_no_schema_and_no_pooler() {
    for database in TestDatabase::all().await.into_iter().filter(|it| it.file.is_some()) {
        let at = || SqlStore::at(&database.address);
        at().schema("app").connect().await.expect_err("it has no schema");
        at().pooler(true).connect().await.expect_err("it has no pooler");
        at().table_prefix("a;b").connect().await.expect_err("the prefix ends a statement");
        let pool = pools_of(&database).await;
        SqlStore::from_pool(pool).schema("app").connect().await.expect_err("it has no schema");
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_schema_is_quoted() {
    let (url, schema) = (postgres_server::url(), format!("Tss \"{}", uuid::Uuid::new_v4()));
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    run(url, format!("CREATE SCHEMA {quoted}")).await;
    let store = SqlStore::at(url).schema(&schema).clock(clock());
    let store = store.connect().await.expect("the database is reachable");
    store.migrate().await.expect("the migration succeeds");
    begin(&store, "s").await;
    run(url, format!("SELECT 1 FROM {quoted}.tss_sessions")).await;
    run(url, format!("DROP SCHEMA {quoted} CASCADE")).await;
}

/// Apps that share a database: a long transaction of one delays nobody else's sign-ins.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p31_the_tables_of_each_app_have_a_lock_of_their_own() {
    let (database, other_schema) = (TestDatabase::postgres().await, TestDatabase::postgres().await);
    let schema = &database.schema.as_ref().expect("it is in Postgres").1;
    let node = async |address: &str, set: fn(SqlStoreBuilder, &str) -> SqlStoreBuilder| {
        let store = set(SqlStore::at(address), schema).clock(clock()).sync_interval(SYNC);
        let store = store.connect().await.expect("the database is reachable");
        store.migrate().await.expect("the migration succeeds");
        store
    };
    let prefixed = |store: SqlStoreBuilder, _: &str| store.table_prefix("app_");
    let holder = node(&database.address, prefixed).await;
    // The same tables by another name, and three kinds of others.
    let same =
        node(&other_schema.address, |it, schema| it.schema(schema).table_prefix("app_")).await;
    let others = [
        node(&database.address, |store, _| store).await,
        node(&database.address, |store, _| store.table_prefix("app_2")).await,
        node(&other_schema.address, prefixed).await,
    ];
    let limit = holder.0.activity_limit();
    let mut tx =
        holder.0.database.begin(NOW, limit).await.map_err(StoreError::from).expect("begun");
    tx.lock(Lock::Alone).await.map_err(StoreError::from).expect("locked");
    let waiting = tokio::spawn(same.begin(SignIn::new(record("s"), audit("session_started"))));
    for other in &others {
        begin(other, "s").await;
        other.revoke_all(of_user(Exempt::None)).await.expect("the sessions are revoked");
    }
    assert!(!waiting.is_finished(), "it waits for the lock of its tables");
    tx.commit().await.map_err(StoreError::from).expect("committed");
    waiting.await.expect("the task completes").expect("the session begins");
    database.remove().await;
    other_schema.remove().await;
}
