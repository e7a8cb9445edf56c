//! The stores under test: each function returns an empty one.

use std::sync::Arc;

use tower_sliding_session::store::{LifecycleStore, MemoryStore};

pub(crate) type Store = Arc<dyn LifecycleStore>;

pub(crate) async fn memory() -> Store {
    std::future::ready(Arc::new(MemoryStore::new())).await
}

#[cfg(feature = "sqlite")]
pub(crate) async fn sqlite() -> Store {
    let name = uuid::Uuid::new_v4().simple().to_string();
    sql(&format!("{}/{name}.db", env!("CARGO_TARGET_TMPDIR"))).await
}

#[cfg(feature = "postgres")]
pub(crate) async fn postgres() -> Store {
    sql(&crate::postgres_server::schema()).await
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
async fn sql(address: &str) -> Store {
    use tower_sliding_session::{ManualClock, Timestamp, store::SqlStore};

    // `BEGIN` of every test binary that uses this module.
    let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
    let store =
        SqlStore::at(address).clock(clock).connect().await.expect("the database is reachable");
    store.migrate().await.expect("the tables are created");
    Arc::new(store)
}
