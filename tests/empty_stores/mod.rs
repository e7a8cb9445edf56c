//! The stores under test: each function returns an empty one.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::sync::Arc;

use tower_sliding_session::store::{LifecycleStore, MemoryStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use tower_sliding_session::{
    ManualClock, Timestamp,
    store::{SqlStore, SqlStoreBuilder},
};

pub(crate) type Store = Arc<dyn LifecycleStore>;

pub(crate) async fn memory() -> Store {
    std::future::ready(Arc::new(MemoryStore::new())).await
}

#[cfg(feature = "sqlite")]
pub(crate) async fn sqlite() -> Store {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let file = format!("{}/{name}.db", env!("CARGO_TARGET_TMPDIR"));
    migrated(SqlStore::at(file)).await
}

#[cfg(feature = "postgres")]
pub(crate) async fn postgres() -> Store {
    migrated(SqlStore::at(crate::postgres_server::schema())).await
}

/// Postgres behind a transaction pooler, in a schema and with a table prefix of the app.
#[cfg(feature = "postgres")]
pub(crate) async fn pgbouncer() -> Store {
    let store = SqlStore::at(crate::postgres_server::pooler_url()).pooler(true);
    migrated(store.schema(crate::postgres_server::new_schema()).table_prefix("app_")).await
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn migrated(store: SqlStoreBuilder) -> Store {
    // `BEGIN` of every test binary that uses this module.
    let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let store = store.clock(clock).connect().await.expect("the database is reachable");
    store.migrate().await.expect("the tables are created");
    Arc::new(store)
}
