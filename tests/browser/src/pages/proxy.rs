//! A proxy that serves an example below a prefix, counts its requests, and can lose some of them.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

pub(super) const PREFIX: &str = "/some/prefix";

const LARGEST_BODY: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Proxy {
    target: String,
    client: reqwest::Client,
    /// Method and path of each request.
    requests: Arc<Mutex<Vec<String>>>,
    failing: Arc<Mutex<Option<&'static str>>>,
}

impl Proxy {
    /// Starts a proxy to `target`; returns it and the address of the page.
    pub(super) async fn start(target: &str) -> (Self, String) {
        let proxy = Self {
            target: target.to_owned(),
            client: reqwest::Client::new(),
            requests: Arc::default(),
            failing: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let app = Router::new().fallback(forward).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (proxy, format!("http://127.0.0.1:{}{PREFIX}/", address.port()))
    }

    /// Answers requests for `path` with 502 from now on; `None`: no path.
    pub(super) fn fail(&self, path: Option<&'static str>) {
        *self.failing.lock().expect("not poisoned") = path;
    }

    /// How many requests were `line`, as in `"POST /auth/refresh"`.
    pub(super) fn count(&self, line: &str) -> usize {
        let requests = self.requests.lock().expect("not poisoned");
        requests.iter().filter(|request| *request == line).count()
    }
}

async fn forward(State(proxy): State<Proxy>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix(PREFIX) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    proxy.requests.lock().expect("not poisoned").push(format!("{} {path}", head.method));
    if *proxy.failing.lock().expect("not poisoned") == Some(path) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let body = to_bytes(body, LARGEST_BODY).await.expect("a body");
    let url = format!("{}{path}{query}", proxy.target);
    let mut headers = head.headers;
    headers.remove("host");
    let sent = proxy.client.request(head.method, url).headers(headers).body(body).send().await;
    let Ok(answer) = sent else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove("transfer-encoding");
    *response.body_mut() = answer.bytes().await.expect("a whole body").into();
    response
}
