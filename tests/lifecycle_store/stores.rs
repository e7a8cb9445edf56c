//! The stores under test: each function gives an empty one.

use std::sync::Arc;

use tower_sliding_session::store::{LifecycleStore, MemoryStore};

pub(crate) type Store = Arc<dyn LifecycleStore>;

pub(crate) async fn memory() -> Store {
    std::future::ready(Arc::new(MemoryStore::new())).await
}
