//! Nodes of one service.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode};
use tokio::time::sleep;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_sliding_session::{
    Grant, JwtKeys, Policy, Session, SlidingSessions,
    layers::OnStoreFailure,
    store::{LifecycleStore, MemoryStore, RedisStore, SqlStore},
};

const RENEWAL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a handler takes that works.
const WORK: Duration = Duration::from_millis(10);

/// A store of one node.
pub(crate) enum Store {
    Redis(RedisStore),
    Sql(SqlStore),
    /// Signs tokens for sessions that other stores do not know.
    Memory(MemoryStore),
}

/// Connects a node to a store that works.
pub(crate) type Connect =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Store> + Send>> + Send + Sync>;

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

/// What a handler does.
#[derive(Clone, Copy)]
pub(crate) enum Handler {
    /// Answers at once.
    Answer,
    /// Answers after a while, in which its session may end.
    Work,
    SignOut,
}

/// An answer, and the token that it brings.
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) renewed: Option<String>,
    /// When the handler was done.
    pub(crate) done: Option<Instant>,
}

#[derive(Clone)]
struct Done(Instant);

impl Handler {
    async fn handle(self, request: Request<()>) -> Result<Response<String>, Infallible> {
        let mut response = Response::new(String::new());
        match self {
            Self::Answer => {}
            Self::Work => sleep(WORK).await,
            Self::SignOut => {
                let session = request.extensions().get::<Session>().expect("authenticated");
                *response.status_mut() = match session.sign_out().await {
                    Ok(()) => StatusCode::NO_CONTENT,
                    Err(_) => StatusCode::SERVICE_UNAVAILABLE,
                };
            }
        }
        response.extensions_mut().insert(Done(Instant::now()));
        Ok(response)
    }
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
        // Tokens are renewed all the time.
        let policy = Policy::builder()
            .idle_timeout(Duration::from_secs(3600))
            .renew_always()
            .renew_min_interval(RENEWAL_INTERVAL);
        let keys = Arc::new(JwtKeys::hs256([7; 32]).expect("a long secret"));
        let sessions =
            SlidingSessions::builder(keys, policy.build().expect("a legal configuration"))
                .lifecycle_store(store)
                .refresh_tokens()
                .on_store_failure(on_failure);
        Self { sessions: sessions.build().expect("a legal configuration"), on_failure }
    }

    pub(crate) async fn sign_in(&self, user: &str) -> Grant {
        // The store works, whatever else the machine has to do.
        loop {
            if let Ok(grant) = self.sessions.start(user).await {
                return grant;
            }
        }
    }

    /// Sends requests of an active session until the node knows it.
    pub(crate) async fn learn(&self, token: &str) {
        loop {
            match self.request(token).await {
                Answer::Admitted => return,
                Answer::Unavailable => {}
                Answer::Rejected(code) => panic!("{code} for an active session"),
            }
        }
    }

    /// Sends a request through the layers to a handler that answers at once.
    pub(crate) async fn request(&self, token: &str) -> Answer {
        self.send(token, Handler::Answer).await.answer
    }

    pub(crate) async fn send(&self, token: &str, handler: Handler) -> Answered {
        let request = Request::builder().header("authorization", format!("Bearer {token}"));
        let request = request.body(()).expect("a request");
        let handler = service_fn(move |request| handler.handle(request));
        let Ok(response) = self.sessions.layer().layer(handler).oneshot(request).await;
        let rejection = response.extensions().get::<tower_sliding_session::Rejection>();
        let answer = match (response.status(), rejection) {
            (StatusCode::OK | StatusCode::NO_CONTENT, _) => Answer::Admitted,
            (StatusCode::SERVICE_UNAVAILABLE, _) => Answer::Unavailable,
            (_, Some(rejection)) => Answer::Rejected(rejection.kind().code()),
            (status, None) => panic!("{status} without a rejection"),
        };
        let renewed = response.headers().get("x-refreshed-token");
        let renewed = renewed.map(|token| token.to_str().expect("a token").to_owned());
        let done = response.extensions().get::<Done>().map(|done| done.0);
        Answered { answer, renewed, done }
    }
}
