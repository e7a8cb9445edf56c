//! Every store of this crate passes the public conformance suite.

#[path = "../empty_stores/mod.rs"]
mod empty_stores;
#[cfg(feature = "postgres")]
#[path = "../postgres_server/mod.rs"]
mod postgres_server;
#[cfg(feature = "redis")]
#[path = "../redis_server/mod.rs"]
mod redis_server;

use tower_sliding_session::{
    MaybeReady,
    identity::SessionKeys,
    store::{
        MemoryStore, SessionStore, StoredSession, Tombstone, Touch, TouchOutcome,
        conformance::{lifecycle_store, session_store},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_conforms() {
    lifecycle_store(empty_stores::memory).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_conforms() {
    lifecycle_store(empty_stores::sqlite).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    lifecycle_store(empty_stores::postgres).await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_behind_a_pooler_conforms() {
    lifecycle_store(empty_stores::pgbouncer).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_conforms() {
    lifecycle_store(empty_stores::redis).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_cluster_conforms() {
    let cluster = redis_server::RedisCluster::start();
    lifecycle_store(async || empty_stores::redis_at(&cluster.urls()).await).await;
}

/// A store that loses tombstones.
struct Forgetful(MemoryStore);

impl SessionStore for Forgetful {
    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        self.0.touch(keys, touch)
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        self.0.get(keys)
    }

    fn write_tombstone(&self, _: Tombstone) -> MaybeReady<bool> {
        MaybeReady::ready(Ok(true))
    }
}

#[tokio::test]
async fn a_store_that_breaks_rules_is_told_which() {
    let local = tokio::task::LocalSet::new();
    let tested = local.spawn_local(session_store(async || Forgetful(MemoryStore::new())));
    let panic = local.run_until(tested).await.expect_err("it breaks rules").into_panic();
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.starts_with("the store breaks 3 of 9 rules:\n"), "{text}");
    assert!(text.contains("\nrequests::p04_a_tombstone_is_final: assertion"), "{text}");
}
