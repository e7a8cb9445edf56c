//! The nodes of one service, over one store.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Deserialize;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower_sliding_session::{
    Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, layers::OnStoreFailure,
    store::LifecycleStore,
};

use crate::{answers::Answers, in_time::in_time, shared_store::SharedStore};

pub(crate) const IDLE: Duration = Duration::from_secs(8);

/// How long a request waits for its store, and how long a call of the lifecycle does.
pub(crate) const REQUEST_TIME_LIMIT: Duration = Duration::from_millis(250);
const LIFECYCLE_TIME_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Nodes {
    store: Arc<SharedStore>,
    answers: Arc<Answers>,
    addresses: Vec<RwLock<SocketAddr>>,
    running: Vec<Mutex<Option<Running>>>,
}

struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Nodes {
    pub(crate) async fn start(
        count: usize,
        store: &Arc<SharedStore>,
        answers: &Arc<Answers>,
    ) -> Arc<Self> {
        let (store, answers) = (Arc::clone(store), Arc::clone(answers));
        let mut nodes = Self { store, answers, addresses: vec![], running: vec![] };
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
            // The server may not answer just now.
            if let Some(store) = self.store.connect().await {
                break store;
            }
        };
        let answers = Arc::clone(&self.answers);
        let app = app(&store, &answers);
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

fn app(store: &Arc<dyn LifecycleStore>, answers: &Arc<Answers>) -> Router {
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
        .lifecycle_store(Arc::clone(store))
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
        .layer(middleware::from_fn_with_state(Arc::clone(answers), judge_request))
        .with_state((sessions, Arc::clone(answers)))
}

/// Counts the answers of all nodes, and judges the time of those to requests. What calls of the lifecycle
/// take, the handlers judge: a node that has too much to do may take long between two waits.
async fn judge_request(
    State(answers): State<Arc<Answers>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let begun = Instant::now();
    let (response, is_late) = in_time(next.run(request), REQUEST_TIME_LIMIT).await;
    let status = response.status();
    answers.count(format!("node: {path} {}", status.as_u16()), begun.elapsed());
    if path == "/me" && is_late && status == StatusCode::SERVICE_UNAVAILABLE {
        answers.add_violation("a request was refused later than its time limit".to_owned());
    }
    response
}

/// Completes a call of the lifecycle, which is refused no later than its time limit.
async fn judge_call<T>(
    answers: &Answers,
    call: impl IntoFuture<Output = Result<T, impl IntoResponse>>,
) -> axum::response::Result<T> {
    let (answer, is_late) = in_time(call.into_future(), LIFECYCLE_TIME_LIMIT).await;
    if answer.is_err() && is_late {
        answers.add_violation("a call was refused later than its time limit".to_owned());
    }
    Ok(answer?)
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(
    State((sessions, answers)): State<(SlidingSessions, Arc<Answers>)>,
    Json(login): Json<Login>,
) -> axum::response::Result<Grant> {
    judge_call(&answers, sessions.start(login.user)).await
}

async fn logout(
    State((_, answers)): State<(SlidingSessions, Arc<Answers>)>,
    session: Session,
) -> axum::response::Result<StatusCode> {
    judge_call(&answers, session.sign_out()).await?;
    Ok(StatusCode::NO_CONTENT)
}
