//! The example `custom_stack`: the team's own tokens, this crate's activity and renewal.

#[path = "../../examples/custom_stack.rs"]
#[expect(dead_code, reason = "a test does not run `main`")]
mod example;

use std::time::Duration;

use axum::http::StatusCode;

use crate::client::{Answer, Client, bearer, claims};

use self::example::{app, sign};

const MINUTE: Duration = Duration::from_secs(60);

/// A token signed at the first instant of the client's clock, valid for half an hour.
const CLAIMS: &str = r#"{"sub":"ada","sid":"s1","auth_time":1800000000,"iat":1800000000,"exp":1800001800,"team":"blue"}"#;

async fn me(client: &Client, token: &str) -> Answer {
    client.send("GET /me", &[("authorization", &bearer(token))], "").await
}

#[tokio::test]
async fn the_teams_token_is_renewed_into_one_that_the_team_accepts() {
    let client = Client::new(app);
    let token = sign(CLAIMS);
    client.wait(15 * MINUTE);
    assert_eq!(me(&client, &token).await.header("x-refreshed-token"), None);
    client.wait(MINUTE);
    let answer = me(&client, &token).await;
    let renewed = answer.header("x-refreshed-token").expect("renewed");
    assert_eq!(claims(renewed)["team"], "blue");
    client.wait(19 * MINUTE);
    let answer = me(&client, renewed).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "ada"));
}

#[tokio::test]
async fn the_session_expires_without_activity() {
    let client = Client::new(app);
    assert_eq!(me(&client, &sign(CLAIMS)).await.status, 200);
    client.wait(20 * MINUTE);
    assert_eq!(me(&client, &sign(CLAIMS)).await.json()["code"], "session_expired_idle");
}

#[tokio::test]
async fn a_token_that_the_team_did_not_sign_is_rejected() {
    let client = Client::new(app);
    let (signed, _) = sign(CLAIMS).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.len())).unwrap();
    for token in [format!("{signed}.AAAA"), signed, String::new()] {
        assert_eq!(me(&client, &token).await.json()["code"], "invalid_token", "{token}");
    }
}
