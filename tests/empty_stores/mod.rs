//! The stores under test: each function returns an empty one.

#![allow(dead_code, reason = "each test crate uses its part")]

use std::sync::Arc;

#[cfg(feature = "redis")]
use tower_sliding_session::store::RedisStore;
use tower_sliding_session::store::{LifecycleStore, MemoryStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use tower_sliding_session::store::{SqlStore, SqlStoreBuilder};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
use tower_sliding_session::{ManualClock, Timestamp};

/// When the sessions of every test binary that uses this module begin.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

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
    let store =
        store.clock(ManualClock::new(BEGIN)).connect().await.expect("the database is reachable");
    store.migrate().await.expect("the tables are created");
    Arc::new(store)
}

/// A store in a namespace of its own, of a server that the process shares.
#[cfg(feature = "redis")]
pub(crate) async fn redis() -> Store {
    redis_at(&[crate::redis_server::shared_url().to_owned()]).await
}

/// A store in a namespace of its own.
#[cfg(feature = "redis")]
pub(crate) async fn redis_at(urls: &[String]) -> Store {
    let store = match urls {
        [url] => RedisStore::at(url.clone()),
        urls => RedisStore::cluster(urls),
    };
    let store = store
        .list_everything(true)
        .audit_log(true)
        .namespace(uuid::Uuid::new_v4().simple().to_string())
        // As long as a busy machine takes.
        .time_limit(std::time::Duration::from_secs(30))
        .clock(ManualClock::new(BEGIN));
    Arc::new(store.connect().await.expect("the server runs"))
}
