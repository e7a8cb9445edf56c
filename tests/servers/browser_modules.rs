//! `GET /session.js` and the other modules over TCP, behind the stack.

use std::future::IntoFuture;

use axum::Router;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use tokio::net::TcpListener;
use tower_sliding_session::{
    JwtKeys, Policy, SlidingSessions,
    client::browser::{SESSION, SESSION_STREAMS, SESSION_WARNING},
};

use crate::client::Client;

async fn serve() -> Client {
    let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
    let sessions = SlidingSessions::builder(keys, Policy::long_lived())
        .router_at("/auth")
        .build()
        .expect("a legal configuration");
    let app = Router::new().nest("/auth", sessions.router()).layer(sessions.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(axum::serve(listener, app).into_future());
    Client::new(address, Version::HTTP_11)
}

async fn get(client: &Client, path: &str, if_none_match: &[&str]) -> Response<Bytes> {
    let request = if_none_match
        .iter()
        .fold(Request::get(path), |request, tags| request.header("if-none-match", *tags));
    client.send(request).await
}

#[tokio::test]
async fn the_modules_are_served_without_a_token() {
    let client = serve().await;
    for (path, module) in [
        ("/auth/session.js", SESSION),
        ("/auth/session-streams.js", SESSION_STREAMS),
        ("/auth/session-warning.js", SESSION_WARNING),
    ] {
        let response = get(&client, path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()["content-type"], "text/javascript; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.body(), module, "{path}");

        let head = client.send(Request::builder().method(Method::HEAD).uri(path)).await;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(head.headers()["etag"], response.headers()["etag"]);
    }
}

#[tokio::test]
async fn a_browser_that_has_a_module_gets_304() {
    let client = serve().await;
    let response = get(&client, "/auth/session.js", &[]).await;
    let etag = response.headers()["etag"].to_str().expect("ASCII").to_owned();
    let other = get(&client, "/auth/session-warning.js", &[]).await;
    assert_ne!(other.headers()["etag"].to_str().expect("ASCII"), etag);

    let weak = format!("W/{etag}");
    let listed = format!("\"old\" , {weak}");
    for known in [&[etag.as_str()][..], &[&weak], &[&listed], &["\"old\"", &etag], &["*"]] {
        let response = get(&client, "/auth/session.js", known).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known:?}");
        assert_eq!(response.headers()["etag"], etag);
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert!(response.body().is_empty());
    }
    let unquoted = etag.trim_matches('"');
    for unknown in [&[][..], &["\"old\""], &[unquoted], &[""], &["\"*\""]] {
        let response = get(&client, "/auth/session.js", unknown).await;
        assert_eq!(response.status(), StatusCode::OK, "{unknown:?}");
        assert_eq!(response.body(), SESSION);
    }
}
