//! The example `custom_store`: a session store that passes the public tests.

#[path = "../../examples/custom_store.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use axum::http::StatusCode;
use tower_sliding_session::store::conformance;

use crate::client::{Client, bearer};

use self::example::{MapStore, app};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_conforms() {
    conformance::session_store(async || MapStore::default()).await;
}

#[tokio::test]
async fn a_session_that_was_signed_out_is_rejected() {
    let client = Client::new(|clock| app(MapStore::default(), clock));
    let headers = [("content-type", "application/json")];
    let grant = client.send("POST /login", &headers, r#"{"user": "ada"}"#).await.json();
    let bearer = bearer(grant["access_token"].as_str().expect("a token"));
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(client.send("GET /me", &headers, "").await.body, "ada");
    assert_eq!(client.send("POST /logout", &headers, "").await.status, StatusCode::OK);
    let answer = client.send("GET /me", &headers, "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json()["code"], "session_revoked");
}
