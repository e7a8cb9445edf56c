//! Nodes of one service.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_sliding_session::{
    Grant, JwtKeys, Policy, SlidingSessions,
    layers::OnStoreFailure,
    store::{LifecycleStore, MemoryStore, RedisStore, SqlStore},
};

/// A store of one node.
pub(crate) enum Store {
    Redis(RedisStore),
    Sql(SqlStore),
    /// Signs tokens for sessions that other stores do not know.
    Memory(MemoryStore),
}

impl Store {
    pub(crate) async fn redis(url: &str) -> Self {
        Self::Redis(RedisStore::connect(url).await.expect("the server accepts connections"))
    }

    pub(crate) async fn cluster(urls: Vec<String>) -> Self {
        let store = RedisStore::cluster(urls).connect().await;
        Self::Redis(store.expect("the cluster accepts connections"))
    }

    pub(crate) async fn sql(address: &str) -> Self {
        let store = SqlStore::connect(address).await.expect("the database is reachable");
        store.migrate().await.expect("the tables are created");
        Self::Sql(store)
    }
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) sessions: SlidingSessions,
    pub(crate) on_failure: OnStoreFailure,
}

/// An answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Admitted,
    Rejected(&'static str),
    Unavailable,
}

impl Node {
    pub(crate) fn new(store: Store, on_failure: OnStoreFailure) -> Self {
        match store {
            Store::Redis(store) => Self::over(store, on_failure),
            Store::Sql(store) => Self::over(store, on_failure),
            Store::Memory(store) => Self::over(store, on_failure),
        }
    }

    fn over(store: impl LifecycleStore, on_failure: OnStoreFailure) -> Self {
        let policy = Policy::builder().idle_timeout(Duration::from_secs(3600));
        let keys = Arc::new(JwtKeys::hs256([7; 32]).expect("a long secret"));
        let sessions =
            SlidingSessions::builder(keys, policy.build().expect("a legal configuration"))
                .lifecycle_store(store)
                .refresh_tokens()
                .on_store_failure(on_failure);
        Self { sessions: sessions.build().expect("a legal configuration"), on_failure }
    }

    pub(crate) async fn sign_in(&self, user: &str) -> Grant {
        self.sessions.start(user).await.expect("the store works")
    }

    /// Sends a request through the layers to a handler that answers 200.
    pub(crate) async fn request(&self, token: &str) -> Answer {
        let handler =
            service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
        let request = Request::builder().header("authorization", format!("Bearer {token}"));
        let request = request.body(()).expect("a request");
        let Ok(response) = self.sessions.layer().layer(handler).oneshot(request).await;
        let rejection = response.extensions().get::<tower_sliding_session::Rejection>();
        match (response.status(), rejection) {
            (StatusCode::OK, _) => Answer::Admitted,
            (StatusCode::SERVICE_UNAVAILABLE, _) => Answer::Unavailable,
            (_, Some(rejection)) => Answer::Rejected(rejection.kind().code()),
            (status, None) => panic!("{status} without a rejection"),
        }
    }
}
