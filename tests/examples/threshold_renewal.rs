//! The example `threshold_renewal`: threshold, min interval, path rules, header and guests.

#[path = "../../examples/threshold_renewal.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use axum::http::StatusCode;

use crate::client::{Answer, Client, bearer, claims};

use self::example::{NEW_TOKEN, app};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn sign_in(client: &Client) -> String {
    let headers = [("content-type", "application/json")];
    let answer = client.send("POST /login", &headers, r#"{"user": "ada"}"#).await;
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn come_as_guest(client: &Client) -> String {
    let answer = client.send("POST /guest", &[], "").await;
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn send(client: &Client, line: &str, token: &str) -> Answer {
    client.send(line, &[("authorization", &bearer(token))], "").await
}

fn renewed(answer: &Answer) -> Option<&str> {
    answer.header(NEW_TOKEN.as_str())
}

fn lifetime(token: &str) -> Duration {
    let claims = claims(token);
    let [exp, iat] = ["exp", "iat"].map(|name| claims[name].as_u64().expect("seconds"));
    Duration::from_secs(exp - iat)
}

#[tokio::test]
async fn the_threshold_is_strict_to_the_millisecond() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    assert_eq!(lifetime(&token), 48 * HOUR);
    client.wait((24 * HOUR).saturating_sub(MILLISECOND));
    assert_eq!(renewed(&send(&client, "GET /me", &token).await), None, "1 ms before");
    client.wait(MILLISECOND);
    assert_eq!(renewed(&send(&client, "GET /me", &token).await), None, "at the threshold");
    client.wait(MILLISECOND);
    let answer = send(&client, "GET /me", &token).await;
    assert_eq!(lifetime(renewed(&answer).expect("1 ms after")), 48 * HOUR);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn p06_one_renewal_a_minute() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    client.wait(25 * HOUR);
    assert!(renewed(&send(&client, "GET /me", &token).await).is_some());
    assert_eq!(renewed(&send(&client, "GET /me", &token).await), None, "at once");
    client.wait((60 * SECOND).saturating_sub(MILLISECOND));
    assert_eq!(renewed(&send(&client, "GET /me", &token).await), None, "1 ms early");
    client.wait(MILLISECOND);
    assert!(renewed(&send(&client, "GET /me", &token).await).is_some(), "after 60 s");
}

#[tokio::test]
async fn p17_polled_paths_neither_renew_nor_are_activity() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    client.wait(47 * HOUR);
    let polled = [
        "GET /documents/paginated",
        "POST /documents/paginated",
        "GET /documents/pipeline_status",
        "GET /documents/pipeline_status/7",
    ];
    for line in polled {
        let answer = send(&client, line, &token).await;
        assert_eq!((answer.status, renewed(&answer)), (StatusCode::OK, None), "{line}");
        let anonymous = client.send(line, &[], "").await;
        assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED, "{line}");
    }
    client.wait(HOUR);
    let answer = send(&client, "GET /me", &token).await;
    assert_eq!(answer.json()["code"], "session_expired_idle");
}

#[tokio::test]
async fn paths_beside_the_polled_ones_renew() {
    for line in ["GET /documents", "POST /documents"] {
        let client = Client::new(app);
        let token = sign_in(&client).await;
        client.wait(25 * HOUR);
        assert!(renewed(&send(&client, line, &token).await).is_some(), "{line}");
    }
}

#[tokio::test]
async fn health_needs_no_token_and_renews_none() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    client.wait(25 * HOUR);
    for line in ["GET /health", "GET /health/store"] {
        assert_eq!(client.send(line, &[], "").await.status, StatusCode::OK, "{line}");
        assert_eq!(renewed(&send(&client, line, &token).await), None, "{line}");
    }
}

#[tokio::test]
async fn p26_the_header_has_its_own_name_and_is_exposed() {
    let client = Client::new(app);
    let token = sign_in(&client).await;
    client.wait(25 * HOUR);
    let bearer = bearer(&token);
    let headers = [("authorization", bearer.as_str()), ("origin", "https://app.example")];
    let answer = client.send("GET /me", &headers, "").await;
    assert!(answer.header("x-new-token").is_some());
    assert_eq!(answer.header("x-refreshed-token"), None);
    let exposed = answer.header("access-control-expose-headers").expect("exposed");
    assert!(exposed.split(',').any(|name| name.trim() == "x-new-token"), "{exposed}");
}

#[tokio::test]
async fn p19_guests_keep_their_shorter_timeouts() {
    let client = Client::new(app);
    let token = come_as_guest(&client).await;
    assert_eq!(lifetime(&token), 24 * HOUR);
    client.wait(12 * HOUR + MILLISECOND);
    let answer = send(&client, "GET /me", &token).await;
    let renewed = renewed(&answer).expect("renewal is due");
    assert_eq!(lifetime(renewed), 24 * HOUR);
    assert_eq!(claims(renewed)["session_profile"], "guest");
}

#[tokio::test]
async fn p28_guests_are_limited_separately() {
    let client = Client::new(app);
    let (one, other) = (come_as_guest(&client).await, come_as_guest(&client).await);
    client.wait(13 * HOUR);
    assert!(renewed(&send(&client, "GET /me", &one).await).is_some());
    assert!(renewed(&send(&client, "GET /me", &other).await).is_some());
}
