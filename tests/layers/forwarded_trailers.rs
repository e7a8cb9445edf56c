//! `Session-Error` in trailers that a handler forwards from another service (P16).

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{PathRules, layers::ActivityLayer, store::MemoryStore};

use crate::test_stack::{TestStack, patient, with};

/// The response of another service: data, and trailers that end a session there.
struct Forwarded {
    /// How often it waits before each frame.
    waits: u8,
    waited: u8,
    frames: Vec<Frame<Bytes>>,
}

impl Forwarded {
    fn new(waits: u8) -> Self {
        let mut trailers = HeaderMap::new();
        for (name, value) in
            [("grpc-status", "16"), ("session-error", "session_revoked"), ("x-other", "kept")]
        {
            trailers.append(name, value.parse().expect("a value"));
        }
        trailers.append("session-error", "token_expired".parse().expect("a value"));
        let frames = vec![Frame::trailers(trailers), Frame::data(Bytes::from_static(MESSAGE))];
        Self { waits, waited: 0, frames }
    }
}

/// A gRPC message.
const MESSAGE: &[u8] = b"\0\0\0\0\x03abc";

impl Body for Forwarded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.waited < self.waits {
            self.waited += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waited = 0;
        Poll::Ready(self.frames.pop().map(Ok))
    }
}

async fn trailers_of(
    layer: impl Layer<
        tower::util::BoxCloneSyncService<Request<()>, Response<Forwarded>, Infallible>,
        Service: tower::Service<
            Request<()>,
            Response = Response<impl Body<Data = Bytes, Error = tower::BoxError>>,
            Error = Infallible,
        >,
    >,
    request: Request<()>,
    content_type: &'static str,
    waits: u8,
) -> HeaderMap {
    let handler = service_fn(move |_: Request<()>| {
        let response = Response::builder().header("content-type", content_type);
        std::future::ready(Ok(response.body(Forwarded::new(waits)).expect("a response")))
    });
    let service = layer.layer(tower::util::BoxCloneSyncService::new(handler));
    let Ok(response) = service.oneshot(request).await;
    let body = pin!(response.into_body());
    let collected = body.collect().await.expect("a whole body");
    let trailers = collected.trailers().expect("trailers").clone();
    assert_eq!(collected.to_bytes(), MESSAGE);
    trailers
}

#[tokio::test]
async fn p16_a_code_in_the_trailers_of_another_service_is_removed() {
    let rules = PathRules::new().public("/public");
    let stack = TestStack::with(patient(), |it| it.path_rules(rules));
    let token = stack.sign_in().await;
    let names = |trailers: &HeaderMap| -> Vec<String> {
        trailers.keys().map(|name| name.as_str().to_owned()).collect()
    };
    for content_type in ["application/grpc", "text/event-stream", "application/octet-stream"] {
        // A body that has never waited, and one that waits for its session's end as well.
        for waits in [0, 1] {
            let layer = stack.sessions.layer();
            let trailers = trailers_of(layer, with(&token), content_type, waits).await;
            assert_eq!(names(&trailers), ["grpc-status", "x-other"], "{content_type} {waits}");
            let mut request = with(&token);
            *request.uri_mut() = "/public".parse().expect("a path");
            let layer = stack.sessions.layer();
            let trailers = trailers_of(layer, request, content_type, waits).await;
            assert_eq!(trailers.get_all("session-error").iter().count(), 2, "no session");
        }
    }
}

#[tokio::test]
async fn p16_the_activity_layer_alone_removes_it_too() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    for waits in [0, 1] {
        let profiles = tower_sliding_session::Profiles::new(patient());
        let inner = ActivityLayer::new(profiles, std::sync::Arc::new(MemoryStore::new()));
        let mut request = with(&token);
        let payload = crate::test_stack::payload(&token);
        let session = tower_sliding_session::Session::builder("ada")
            .sid("s")
            .auth_time(crate::test_stack::BEGIN)
            .claims_json(&payload)
            .build();
        request.extensions_mut().insert(session.expect("complete"));
        let layer = inner.clock(stack.clock.clone());
        let trailers = trailers_of(layer, request, "application/grpc", waits).await;
        assert!(!trailers.contains_key("session-error"));
        assert_eq!(trailers["x-other"], "kept");
    }
}
