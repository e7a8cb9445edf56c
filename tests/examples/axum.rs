//! The example `axum`, which is also on the front page.

#[path = "../../examples/axum.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use axum::http::StatusCode;

use crate::client::{Client, bearer, claims};

use self::example::app;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn a_token_is_renewed_after_half_its_lifetime() {
    let client = Client::new(app);
    assert_eq!(client.send("GET /me", &[], "").await.json()["code"], "missing_token");
    let answer = client.send("POST /login", &[JSON], r#"{"user": "ada"}"#).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();

    client.wait(Duration::from_secs(15 * 60));
    let answer = client.send("GET /me", &[("authorization", &bearer(&token))], "").await;
    assert_eq!((&*answer.body, answer.header("x-refreshed-token")), ("ada", None));
    client.wait(Duration::from_secs(16 * 60));
    let answer = client.send("GET /me", &[("authorization", &bearer(&token))], "").await;
    let renewed = answer.header("x-refreshed-token").expect("renewed");
    assert_eq!(claims(renewed)["sid"], claims(&token)["sid"]);
    let answer = client.send("GET /me", &[("authorization", &bearer(renewed))], "").await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "ada"));
}

#[tokio::test]
async fn a_request_without_a_token_is_rejected() {
    let client = Client::new(app);
    let answer = client.send("POST /login", &[JSON], r#"{"user": "eve"}"#).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
