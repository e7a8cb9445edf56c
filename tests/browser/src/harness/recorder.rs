//! What a server has been asked, and how it is told to fail.

use std::sync::{Arc, Mutex};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::sync::watch;

/// A request that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

impl Recorded {
    /// Whether it came with a token.
    pub(crate) fn has_token(&self) -> bool {
        self.headers.contains_key("authorization")
    }

    /// The value of `Session-Activity`.
    pub(crate) fn activity(&self) -> Option<&str> {
        Some(self.headers.get("session-activity")?.to_str().expect("ASCII"))
    }
}

/// How requests below a path are answered instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Status {
        below: &'static str,
        status: StatusCode,
    },
    /// No answer, until the fault is removed or replaced.
    Silence {
        below: &'static str,
    },
}

/// Outlives a restart of its server.
#[derive(Clone)]
pub(crate) struct Recorder {
    requests: Arc<Mutex<Vec<Recorded>>>,
    number: watch::Sender<usize>,
    fault: watch::Sender<Option<Fault>>,
    is_released: watch::Sender<bool>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self {
            requests: Arc::default(),
            number: watch::Sender::new(0),
            fault: watch::Sender::new(None),
            is_released: watch::Sender::new(false),
        }
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.fault.send_replace(fault);
    }

    /// Lets `/public/held` answer.
    pub(crate) fn release(&self) {
        self.is_released.send_replace(true);
    }

    pub(super) async fn wait_for_release(&self) {
        let mut releases = self.is_released.subscribe();
        releases.wait_for(|is_released| *is_released).await.expect("the recorder is there");
    }

    pub(crate) fn requests(&self, path: &str) -> Vec<Recorded> {
        let requests = self.requests.lock().expect("not poisoned");
        requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests(path).len()
    }

    pub(crate) fn forget(&self) {
        self.requests.lock().expect("not poisoned").clear();
    }

    /// Waits until requests for `path` number `count`.
    pub(crate) async fn reach(&self, path: &str, count: usize) {
        let mut number = self.number.subscribe();
        let reached = number.wait_for(|_| self.count(path) >= count);
        let within = tokio::time::timeout(super::BOUND, reached);
        within.await.unwrap_or_else(|_| panic!("{count} requests for {path}")).expect("open");
    }

    fn record(&self, request: &Request) {
        let recorded = Recorded {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
        };
        self.requests.lock().expect("not poisoned").push(recorded);
        self.number.send_modify(|number| *number += 1);
    }
}

/// Records each request but preflights, and lets it fail where a fault says so.
pub(super) async fn record(
    State(recorder): State<Recorder>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() == Method::OPTIONS {
        return next.run(request).await;
    }
    recorder.record(&request);
    let path = request.uri().path().to_owned();
    let mut faults = recorder.fault.subscribe();
    let answered = faults.wait_for(|fault| match fault {
        Some(Fault::Silence { below }) => !path.starts_with(below),
        _ => true,
    });
    let fault = answered.await.expect("the recorder is there").clone();
    match fault {
        Some(Fault::Status { below, status }) if path.starts_with(below) => status.into_response(),
        _ => next.run(request).await,
    }
}
