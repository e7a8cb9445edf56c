//! The example `cookies`: sign-in, renewal, sign-out, and requests from another site.

#[path = "../../examples/cookies.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use axum::http::StatusCode;

use crate::client::{Answer, Client, bearer, claims};

use self::example::app;

/// The pair `name=value` of the one cookie that a response sets, and its attributes.
fn set_cookie(answer: &Answer) -> (&str, &str) {
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1);
    answer
        .header("set-cookie")
        .and_then(|it| it.split_once("; "))
        .expect("a cookie with attributes")
}

async fn sign_in(client: &Client) -> String {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = client.send("POST /login", &headers, "user=ada").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let (pair, attributes) = set_cookie(&answer);
    assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=3600");
    pair.to_owned()
}

#[tokio::test]
async fn a_cookie_token_is_renewed_in_the_cookie_only() {
    let client = Client::new(app);
    let cookie = sign_in(&client).await;
    // Activity before the idle timeout, then after half of the token lifetime of one hour.
    for _ in 0..2 {
        client.wait(Duration::from_secs(15 * 60));
        let answer = client.send("GET /me", &[("cookie", &cookie)], "").await;
        assert_eq!((&*answer.body, answer.header("set-cookie")), ("ada", None));
    }
    client.wait(Duration::from_secs(60));
    let answer = client.send("GET /me", &[("cookie", &cookie)], "").await;
    assert_eq!(answer.header("x-refreshed-token"), None);
    let (renewed, _) = set_cookie(&answer);
    let [before, after] = [&*cookie, renewed].map(|pair| {
        claims(pair.strip_prefix("__Host-session=").expect("the name of the cookie"))["sid"].clone()
    });
    assert_eq!(before, after);
}

#[tokio::test]
async fn p03_sign_out_revokes_the_session_and_removes_the_cookie() {
    let client = Client::new(app);
    let cookie = sign_in(&client).await;
    let answer = client.send("POST /logout", &[("cookie", &cookie)], "").await;
    let (pair, attributes) = set_cookie(&answer);
    assert_eq!(pair, "__Host-session=");
    assert!(attributes.ends_with("Max-Age=0"), "{attributes}");
    let answer = client.send("GET /me", &[("cookie", &cookie)], "").await;
    assert_eq!(answer.json()["code"], "session_revoked");
}

#[tokio::test]
async fn a_cross_site_request_cannot_sign_out() {
    let client = Client::new(app);
    let cookie = sign_in(&client).await;
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    assert_eq!(client.send("POST /logout", &headers, "").await.status, StatusCode::FORBIDDEN);
    let answer = client.send("GET /me", &[("cookie", &cookie)], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn only_the_cookie_is_read() {
    let client = Client::new(app);
    let cookie = sign_in(&client).await;
    let (_, token) = cookie.split_once('=').expect("a pair");
    let answer = client.send("GET /me", &[("authorization", &bearer(token))], "").await;
    assert_eq!(answer.json()["code"], "missing_token");
}
