//! An in-process client of an example with a manual clock.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::{BoxError, ServiceExt};
use tower_sliding_session::{ManualClock, Timestamp};

pub(crate) struct Client {
    app: Router,
    clock: ManualClock,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(app: impl FnOnce(ManualClock) -> Result<Router, BoxError>) -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
        Self { app: app(clock.clone()).expect("the example builds"), clock }
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Sends a request; `line` is a method and a path, as in `"POST /login"`.
    pub(crate) async fn send(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let (head, body) =
            self.app.clone().oneshot(request).await.expect("infallible").into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let body = String::from_utf8(body.into()).expect("UTF-8");
        Answer { status: head.status, headers: head.headers, body }
    }
}

impl Client {
    /// The first bytes of the body of a response that does not end.
    pub(crate) async fn first_frame(&self, line: &str) -> String {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let request = Request::builder().method(method).uri(path).body(Body::empty());
        let answer = self.app.clone().oneshot(request.expect("a request")).await;
        let frame = answer.expect("infallible").into_body().frame().await.expect("a body");
        let data = frame.expect("no error").into_data().expect("data");
        String::from_utf8(data.into()).expect("UTF-8")
    }
}

impl Answer {
    /// A response header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("visible ASCII"))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// The headers of a request that presents `token`.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The claims in a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}
