//! The example `inactivity`: 20 minutes idle timeout, one hour absolute, and a config route.

#[path = "../../examples/inactivity.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::client::{Answer, Client, bearer, claims};

use self::example::app;

const MILLISECOND: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

async fn sign_in(client: &Client) -> String {
    let headers = [("content-type", "application/json")];
    let answer = client.send("POST /login", &headers, r#"{"user": "ada"}"#).await;
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn send(client: &Client, path: &str, token: &str) -> Answer {
    client.send(&format!("GET {path}"), &[("authorization", &bearer(token))], "").await
}

#[tokio::test]
async fn a_session_expires_after_twenty_idle_minutes_to_the_millisecond() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    client.wait((20 * MINUTE).saturating_sub(MILLISECOND));
    assert_eq!(send(&client, "/me", &token).await.status, StatusCode::OK);
    client.wait((20 * MINUTE).saturating_sub(MILLISECOND));
    assert_eq!(send(&client, "/unread", &token).await.status, StatusCode::OK);
    client.wait(MILLISECOND);
    let answer = send(&client, "/me", &token).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.json()["code"], "session_expired_idle");
}

#[tokio::test]
async fn p01_an_active_session_expires_after_one_hour() {
    let client = Client::new(app);
    let mut token = sign_in(&client).await;
    let end = claims(&token)["auth_time"].as_u64().expect("seconds") + 3600;
    for _ in 0..3 {
        client.wait(15 * MINUTE);
        let answer = send(&client, "/me", &token).await;
        assert_eq!(answer.status, StatusCode::OK);
        if let Some(renewed) = answer.header("x-refreshed-token") {
            renewed.clone_into(&mut token);
        }
    }
    assert_eq!(claims(&token)["exp"], end, "the last token expires with the session");
    client.wait((15 * MINUTE).saturating_sub(MILLISECOND));
    let answer = send(&client, "/me", &token).await;
    assert_eq!((answer.status, answer.header("x-refreshed-token")), (StatusCode::OK, None));
    client.wait(MILLISECOND);
    let answer = send(&client, "/me", &token).await;
    assert_eq!(answer.json()["code"], "session_expired_absolute");
}

#[tokio::test]
async fn the_front_end_learns_the_timeouts_without_a_token() {
    let client = Client::new(app);
    let answer = client.send("GET /session/config", &[], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({ "idle_timeout": 1200, "absolute_timeout": 3600 }));
}

#[tokio::test]
async fn every_response_has_session_expires() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    client.wait(5 * MINUTE);
    let polled = send(&client, "/unread", &token).await;
    assert_eq!(polled.header("session-expires"), Some("idle=900, absolute=3300, renewable"));
    let active = send(&client, "/me", &token).await;
    assert_eq!(active.header("session-expires"), Some("idle=1200, absolute=3300, renewable"));
}
