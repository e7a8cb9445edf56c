//! A node: the stack of one process.

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use tokio::sync::mpsc;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_sliding_session::{Clock, JwtKeys, Policy, RejectionKind, Session, SlidingSessions};

use crate::{
    shared_store::SharedStore,
    test_stack::{SECRET, rejected, with},
};

pub(crate) const NODES: usize = 4;
pub(crate) const IDLE: Duration = Duration::from_secs(20 * 60);

pub(crate) struct Node {
    pub(crate) sessions: SlidingSessions,
}

impl Node {
    pub(crate) async fn new(
        store: &SharedStore,
        clock: impl Clock + Clone,
        sync_interval: Duration,
    ) -> Self {
        let store = store.connect(clock.clone(), sync_interval).await;
        let policy = Policy::builder().idle_timeout(IDLE).build();
        let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
        let sessions = SlidingSessions::builder(keys, policy.expect("a legal configuration"))
            .lifecycle_store(store)
            .clock(clock)
            .build()
            .expect("a legal configuration");
        Self { sessions }
    }

    pub(crate) async fn four(
        store: &SharedStore,
        clock: impl Clock + Clone,
        sync_interval: Duration,
    ) -> Vec<Self> {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(Self::new(store, clock.clone(), sync_interval).await);
        }
        nodes
    }

    pub(crate) async fn sign_in(&self, user: &str) -> String {
        let grant = self.sessions.start(user).await.expect("the session starts");
        grant.access_token().to_owned()
    }

    /// Sends a request; returns its session.
    pub(crate) async fn send(&self, request: Request<()>) -> Result<Session, RejectionKind> {
        let (sender, mut seen) = mpsc::channel(1);
        let handler = service_fn(move |request: Request<()>| {
            let session = request.extensions().get::<Session>().cloned();
            sender.try_send(session.expect("authenticated")).expect("it is called once");
            std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
        });
        let Ok(answer) = self.sessions.layer().layer(handler).oneshot(request).await;
        match rejected(&answer) {
            Some(kind) => Err(kind),
            None => Ok(seen.recv().await.expect("the handler was called")),
        }
    }

    /// Sends a request that is activity.
    pub(crate) async fn get(&self, token: &str) -> Result<Session, RejectionKind> {
        self.send(with(token)).await
    }

    /// Sends a request that is none.
    pub(crate) async fn poll(&self, token: &str) -> Result<Session, RejectionKind> {
        let mut request = with(token);
        let class = "background".parse().expect("a value");
        request.headers_mut().insert("session-activity", class);
        self.send(request).await
    }
}
