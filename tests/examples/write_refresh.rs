//! The example `write_refresh`: writes renew with current roles, reads do not renew.

#[path = "../../examples/write_refresh.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::client::{Answer, Client, bearer, claims};

use self::example::{Users, app};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn client() -> (Client, Users) {
    let users = Users::default();
    users.set_role("ada", Some("admin"));
    users.set_role("bob", Some("editor"));
    (Client::new(|clock| app(clock, users.clone())), users)
}

async fn sign_in(client: &Client, login: Value) -> String {
    let headers = [("content-type", "application/json")];
    let answer = client.send("POST /login", &headers, &login.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

async fn send(client: &Client, line: &str, token: &str, body: &str) -> Answer {
    client.send(line, &[("authorization", &bearer(token))], body).await
}

fn renewed(answer: &Answer) -> Option<&str> {
    answer.header("x-refreshed-token")
}

/// The lifetime of a token, from `iat` to `exp`.
fn lifetime(token: &str) -> Duration {
    let claims = claims(token);
    let [exp, iat] = ["exp", "iat"].map(|name| claims[name].as_u64().expect("seconds"));
    Duration::from_secs(exp - iat)
}

#[tokio::test]
async fn each_write_renews() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let (client, _) = client();
        let token = sign_in(&client, json!({ "user": "ada" })).await;
        client.wait(MINUTE);
        let answer = send(&client, &format!("{method} /document"), &token, "text").await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{method}");
        let renewed = renewed(&answer).expect(method);
        let answer = send(&client, "GET /document", renewed, "").await;
        assert_eq!(answer.body, "read as admin", "{method}");
    }
}

#[tokio::test]
async fn p17_a_read_does_not_renew() {
    let (client, _) = client();
    let token = sign_in(&client, json!({ "user": "ada" })).await;
    client.wait(DAY.saturating_sub(MINUTE));
    for method in ["GET", "HEAD"] {
        let answer = send(&client, &format!("{method} /document"), &token, "").await;
        assert_eq!((answer.status, renewed(&answer)), (StatusCode::OK, None), "{method}");
    }
    client.wait(MINUTE);
    let answer = send(&client, "GET /document", &token, "").await;
    assert_eq!(answer.json()["code"], "session_expired_idle", "reads are not activity");
}

#[tokio::test]
async fn an_anonymous_write_does_not_renew() {
    let (client, _) = client();
    let answer = client.send("POST /document", &[], "text").await;
    assert_eq!((answer.status, renewed(&answer)), (StatusCode::UNAUTHORIZED, None));
    assert_eq!(answer.json()["code"], "missing_token");
}

#[tokio::test]
async fn p19_remember_me_keeps_seven_days_near_its_deadline() {
    let (client, _) = client();
    let mut token = sign_in(&client, json!({ "user": "ada", "remember_me": true })).await;
    assert_eq!(lifetime(&token), 7 * DAY);
    for pause in [MINUTE, 6 * DAY, (7 * DAY).saturating_sub(SECOND)] {
        client.wait(pause);
        let answer = send(&client, "POST /document", &token, "text").await;
        renewed(&answer).expect("renewed").clone_into(&mut token);
        assert_eq!(lifetime(&token), 7 * DAY, "after {pause:?}");
    }
}

#[tokio::test]
async fn a_normal_session_lasts_one_day() {
    let (client, _) = client();
    let mut token = sign_in(&client, json!({ "user": "ada" })).await;
    assert_eq!(lifetime(&token), DAY);
    for pause in [MINUTE, DAY.saturating_sub(SECOND)] {
        client.wait(pause);
        let answer = send(&client, "POST /document", &token, "text").await;
        renewed(&answer).expect("renewed").clone_into(&mut token);
        assert_eq!(lifetime(&token), DAY, "after {pause:?}");
    }
}

#[tokio::test]
async fn p19_the_profile_survives_renewals() {
    let (client, _) = client();
    let mut token = sign_in(&client, json!({ "user": "ada", "remember_me": true })).await;
    for _ in 0..3 {
        client.wait(MINUTE);
        let answer = send(&client, "POST /document", &token, "text").await;
        renewed(&answer).expect("renewed").clone_into(&mut token);
        assert_eq!(claims(&token)["session_profile"], "remember_me");
    }
    let normal = sign_in(&client, json!({ "user": "bob" })).await;
    client.wait(MINUTE);
    let answer = send(&client, "POST /document", &normal, "text").await;
    assert_eq!(claims(renewed(&answer).expect("renewed")).get("session_profile"), None);
}

#[tokio::test]
async fn a_failed_write_does_not_renew() {
    let (client, _) = client();
    let token = sign_in(&client, json!({ "user": "ada" })).await;
    client.wait(MINUTE);
    let answer = send(&client, "POST /document", &token, "").await;
    assert_eq!((answer.status, renewed(&answer)), (StatusCode::UNPROCESSABLE_ENTITY, None));
    let answer = send(&client, "POST /document", &token, "text").await;
    assert!(renewed(&answer).is_some(), "the next successful write renews");
}

#[tokio::test]
async fn p03_a_login_under_an_existing_token_is_not_overwritten() {
    let (client, _) = client();
    let token = sign_in(&client, json!({ "user": "ada" })).await;
    client.wait(MINUTE);
    let bearer = bearer(&token);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let answer = client.send("POST /login", &headers, r#"{"user": "bob"}"#).await;
    assert_eq!((answer.status, renewed(&answer)), (StatusCode::OK, None));
    let granted = answer.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(claims(&granted)["sub"], "bob");
    let [before, after] = [&token, &granted].map(|token| claims(token)["sid"].clone());
    assert_ne!(before, after);
}

#[tokio::test]
async fn p02_a_demoted_admin_loses_the_role() {
    let (client, users) = client();
    let token = sign_in(&client, json!({ "user": "ada" })).await;
    client.wait(MINUTE);
    users.set_role("ada", Some("editor"));
    let answer = send(&client, "POST /document", &token, "text").await;
    let renewed = renewed(&answer).expect("renewed").to_owned();
    let answer = send(&client, "GET /document", &renewed, "").await;
    assert_eq!(answer.body, "read as editor");
}

#[tokio::test]
async fn p02_a_deactivated_user_gets_no_token() {
    let (client, users) = client();
    let token = sign_in(&client, json!({ "user": "ada" })).await;
    client.wait(MINUTE);
    users.set_role("ada", None);
    let answer = send(&client, "POST /document", &token, "text").await;
    assert_eq!(renewed(&answer), None);
    let answer = send(&client, "GET /document", &token, "").await;
    assert_eq!(answer.json()["code"], "session_revoked");
}
