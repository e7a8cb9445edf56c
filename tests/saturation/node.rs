//! The nodes of one service, over one database.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_sliding_session::{
    Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions,
    layers::OnStoreFailure,
    store::{SessionStore as _, SqlStore},
};

pub(crate) const IDLE: Duration = Duration::from_secs(8);

pub(crate) struct Nodes {
    url: String,
    schema: String,
    addresses: Vec<RwLock<SocketAddr>>,
    running: Vec<Mutex<Option<Running>>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Nodes {
    pub(crate) async fn start(count: usize, url: &str) -> Arc<Self> {
        let schema = crate::postgres_server::new_schema();
        let mut nodes = Self { url: url.to_owned(), schema, addresses: vec![], running: vec![] };
        for _ in 0..count {
            let (address, running) = nodes.new_node().await;
            nodes.addresses.push(RwLock::new(address));
            nodes.running.push(Mutex::new(Some(running)));
        }
        Arc::new(nodes)
    }

    pub(crate) fn count(&self) -> usize {
        self.addresses.len()
    }

    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        *self.addresses[node].read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a node in the place of this one, which then completes what it has begun.
    pub(crate) async fn restart(&self, node: usize) {
        let (address, running) = self.new_node().await;
        *self.addresses[node].write().unwrap_or_else(PoisonError::into_inner) = address;
        let before =
            self.running[node].lock().unwrap_or_else(PoisonError::into_inner).replace(running);
        let before = before.expect("a node runs");
        before.stop.send(()).expect("it serves until it is told to stop");
        // Whoever stops the restarts does not stop the node.
        drop(tokio::spawn(before.served));
    }

    async fn new_node(&self) -> (SocketAddr, Running) {
        let store = loop {
            // The database may not answer just now.
            let store = SqlStore::at(&self.url).schema(&self.schema).connect().await;
            if let Ok(store) = store
                && store.migrate().await.is_ok()
            {
                break store;
            }
        };
        let app = app(&store);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.expect("it serves");
            // What it could not write is lost with it: the activity of a touch interval.
            drop(store.flush().await);
        });
        (address, Running { stop, served })
    }
}

fn app(store: &SqlStore) -> Router {
    // Many tokens are renewed and refreshed in a run of a minute.
    let policy = Policy::builder()
        .idle_timeout(IDLE)
        .absolute_timeout(Duration::from_secs(3600))
        .token_lifetime(Duration::from_secs(10))
        .renew_min_interval(Duration::from_secs(1))
        .build()
        .expect("a valid policy");
    let keys = JwtKeys::hs256([7; 32]).expect("a long secret");
    let sessions = SlidingSessions::builder(keys, policy)
        .lifecycle_store(store.clone())
        .refresh_tokens()
        .on_store_failure(OnStoreFailure::Reject)
        .path_rules(PathRules::new().public("/login"))
        .router_at("/auth")
        .build()
        .expect("valid settings");
    Router::new()
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/me", post(|session: Session| async move { session.subject().to_owned() }))
        .nest("/auth", sessions.router())
        .layer(sessions.layer())
        .with_state(sessions)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State(sessions): State<SlidingSessions>,
    Json(login): Json<Login>,
) -> axum::response::Result<Grant> {
    Ok(sessions.start(login.user).await?)
}

async fn logout(session: Session) -> axum::response::Result<StatusCode> {
    session.sign_out().await?;
    Ok(StatusCode::NO_CONTENT)
}
