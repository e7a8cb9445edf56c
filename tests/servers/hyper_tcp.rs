//! Plain hyper servers, over HTTP/1.1 and HTTP/2.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header::AUTHORIZATION};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};
use tower_sliding_session::Session;

use crate::{
    client::Client,
    hyper_server,
    stack::{IDLE_TIMEOUT, RENEWAL_DUE, stack},
};

/// Reads the request body: compiles only if the stack passes its type through.
async fn subject(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let session = request.extensions().get::<Session>().expect("authenticated").clone();
    let body: Incoming = request.into_body();
    body.collect().await.expect("an empty body");
    Ok(Response::new(session.subject().to_owned().into()))
}

async fn a_session_is_renewed_and_expires(version: Version) {
    let stack = stack(|builder| builder);
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(service_fn(subject));
    let caller = Client::new(hyper_server::serve(service, version).await, version);
    let bearer = stack.sign_in_bearer().await;
    let get = || Request::get("/").version(version).header(AUTHORIZATION, &bearer);

    let response = caller.send(get()).await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, version));
    assert_eq!(response.body(), "ada");
    assert!(!response.headers().contains_key("x-refreshed-token"));

    stack.clock.advance(RENEWAL_DUE);
    let response = caller.send(get()).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    let renewed = response.headers()["x-refreshed-token"].to_str().expect("a token");
    let renewed = format!("Bearer {renewed}");
    assert_ne!(renewed, bearer);
    let request = Request::get("/").version(version).header(AUTHORIZATION, &renewed);
    assert_eq!(caller.send(request).await.status(), StatusCode::OK);

    stack.clock.advance(IDLE_TIMEOUT);
    let request = Request::get("/").version(version).header(AUTHORIZATION, &renewed);
    let response = caller.send(request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let problem: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(problem["code"], "session_expired_idle");
    assert_eq!(response.headers()["content-length"], response.body().len().to_string());
}

#[tokio::test]
async fn http1_a_session_is_renewed_and_expires() {
    a_session_is_renewed_and_expires(Version::HTTP_11).await;
}

#[tokio::test]
async fn http2_a_session_is_renewed_and_expires() {
    a_session_is_renewed_and_expires(Version::HTTP_2).await;
}
