//! The store that all nodes share, whose server stops answering now and then.

use std::{sync::Arc, time::Duration};

use tokio::task::block_in_place;
use tower_sliding_session::store::{LifecycleStore, RedisStore, SqlStore};

use crate::{link::Link, postgres_server, redis_server::RedisServer};

/// How long the store does not answer: longer than a request waits for it, and shorter than the idle
/// timeout.
pub(crate) const PAUSE: Duration = Duration::from_millis(1500);

pub(crate) enum SharedStore {
    /// A schema of the Postgres of all tests, whose other tests go on: the network to it fails.
    Postgres { link: Link, schema: String },
    /// A server of its own, which is stopped.
    Redis(RedisServer),
}

impl SharedStore {
    pub(crate) async fn postgres() -> Self {
        let link = Link::to(postgres_server::url()).await;
        Self::Postgres { link, schema: postgres_server::new_schema() }
    }

    pub(crate) fn redis() -> Self {
        Self::Redis(RedisServer::start())
    }

    /// A connection of one node; `None` if the server does not answer.
    pub(crate) async fn connect(&self) -> Option<Arc<dyn LifecycleStore>> {
        match self {
            Self::Postgres { link, schema } => {
                let store = SqlStore::at(&link.url).schema(schema).connect().await.ok()?;
                store.migrate().await.ok()?;
                Some(Arc::new(store))
            }
            Self::Redis(server) => Some(Arc::new(RedisStore::connect(&server.url()).await.ok()?)),
        }
    }

    pub(crate) fn pause(&self) {
        match self {
            Self::Postgres { link, .. } => link.pause(),
            Self::Redis(server) => block_in_place(|| server.pause()),
        }
    }

    pub(crate) fn resume(&self) {
        match self {
            Self::Postgres { link, .. } => link.resume(),
            Self::Redis(server) => block_in_place(|| server.resume()),
        }
    }
}
