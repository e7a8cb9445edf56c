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
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, Some("/me")));
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
async fn p34_a_browser_without_a_session_is_redirected_to_the_sign_in_page() {
    let client = Client::new(app);
    let page = client.send("GET /login", &[("sec-fetch-mode", "navigate")], "").await;
    assert!(page.status == StatusCode::OK && page.body.contains("<form"), "{}", page.body);
    let cookie = sign_in(&client).await;
    client.wait(Duration::from_secs(20 * 60));
    let idle = ("cookie", cookie.as_str());
    for headers in [&[][..], &[("cookie", "__Host-session=x")], &[idle]] {
        let navigation = [headers, &[("sec-fetch-mode", "navigate")]].concat();
        let answer = client.send("GET /me", &navigation, "").await;
        let redirect = (StatusCode::SEE_OTHER, Some("/login"));
        assert_eq!((answer.status, answer.header("location")), redirect);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let script = client.send("GET /me", headers, "").await;
        assert_eq!(script.status, StatusCode::UNAUTHORIZED);
        assert_eq!(script.json()["code"], answer.header("session-error").expect("a code"));
    }
    let navigation = client.send("GET /me", &[idle, ("sec-fetch-mode", "navigate")], "").await;
    assert_eq!(set_cookie(&navigation).0, "__Host-session=");
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
