//! The stores that nodes share.

use std::{sync::Arc, time::Duration};

use tower_sliding_session::{
    Clock,
    store::{LifecycleStore, RedisStore, SqlStore},
};
use uuid::Uuid;

use crate::{
    postgres_server,
    redis_server::{RedisCluster, RedisServer},
};

/// As long as a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store without sessions, which each node connects to by itself.
pub(crate) struct SharedStore {
    name: &'static str,
    backend: Backend,
    /// Where its keys are.
    namespace: String,
    is_pushed: bool,
}

enum Backend {
    Redis(RedisServer),
    Cluster(RedisCluster),
    /// The address of an empty schema.
    Postgres(String),
}

impl SharedStore {
    /// One of each kind.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let backends: [(_, fn() -> Backend); 3] = [
            ("redis", || Backend::Redis(RedisServer::start())),
            ("redis cluster", || Backend::Cluster(RedisCluster::start())),
            ("postgres", || Backend::Postgres(postgres_server::schema())),
        ];
        backends.into_iter().map(|(name, start)| {
            let namespace = Uuid::new_v4().simple().to_string();
            Self { name, backend: start(), namespace, is_pushed: true }
        })
    }

    /// One of each kind; what a node changes is pushed to none.
    pub(crate) fn all_without_push() -> impl Iterator<Item = Self> {
        Self::all().map(|store| {
            let forbid = |server: &RedisServer| {
                server.command(&["ACL", "SETUSER", "default", "-xread"]);
            };
            match &store.backend {
                Backend::Redis(server) => forbid(server),
                Backend::Cluster(cluster) => cluster.servers().iter().for_each(forbid),
                // A pooler delivers no notification: see `connect`.
                Backend::Postgres(_) => {}
            }
            Self { is_pushed: false, ..store }
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// A connection of one node.
    pub(crate) async fn connect(
        &self,
        clock: impl Clock,
        sync_interval: Duration,
    ) -> Arc<dyn LifecycleStore> {
        let store = match &self.backend {
            Backend::Redis(server) => RedisStore::at(server.url()),
            Backend::Cluster(cluster) => RedisStore::cluster(cluster.urls()),
            Backend::Postgres(address) => {
                let store = SqlStore::at(address).clock(clock).sync_interval(sync_interval);
                let listened = if self.is_pushed { address } else { postgres_server::pooler_url() };
                let store = store.listen_address(listened);
                let store = store.connect().await.expect("the database is reachable");
                store.migrate().await.expect("the tables are created");
                return Arc::new(store);
            }
        };
        let store = store.namespace(&self.namespace).time_limit(PATIENCE).clock(clock);
        let store = store.sync_interval(sync_interval).connect().await;
        Arc::new(store.expect("the server accepts connections"))
    }
}
