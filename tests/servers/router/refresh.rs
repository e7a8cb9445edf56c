//! `POST /auth/refresh`.

use axum::body::Body;
use serde_json::{Value, json};
use tower_sliding_session::{Grant, request_class::Activity};

use super::service::{Answer, BEGIN, DAY, MINUTE, Service, problem, request};

async fn refresh(service: &Service, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = request("POST /refresh");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.send(request, body).await
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn presented(grant: &Grant) -> String {
    json!({ "refresh_token": grant.refresh_token().expect("the feature is on") }).to_string()
}

#[tokio::test]
async fn a_refresh_token_is_exchanged_for_a_grant() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(20 * MINUTE);
    let answer = refresh(&service, &[JSON], presented(&grant)).await.ok();
    assert_eq!(answer["session_id"], grant.session_id());
    assert_eq!(answer["token_type"], "Bearer");
    assert_eq!(answer["expires_in"], 900);
    assert_eq!(answer["idle_expires_in"], 3 * 86_400);
    assert_eq!(answer["idle_expires_at"], (BEGIN + 20 * MINUTE + 3 * DAY).to_string());
    assert_eq!(answer["absolute_expires_in"], 14 * 86_400 - 1200);
    assert_eq!(answer["absolute_expires_at"], (BEGIN + 14 * DAY).to_string());
    assert_ne!(answer["access_token"], grant.access_token());
    assert_ne!(answer["refresh_token"], *grant.refresh_token().expect("the feature is on"));
}

#[tokio::test]
async fn p17_a_refresh_in_the_background_moves_no_idle_deadline() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(20 * MINUTE);
    let background = ("session-activity", "background");
    let answer = refresh(&service, &[JSON, background], presented(&grant)).await.ok();
    assert_eq!(answer["idle_expires_in"], 3 * 86_400 - 1200);
    assert_eq!(answer["idle_expires_at"], (BEGIN + 3 * DAY).to_string());
}

#[tokio::test]
async fn p17_a_refresh_counts_where_it_is_declared() {
    let user = ("session-activity", "user");
    let background = ("session-activity", "background");
    for (activity, headers, counts) in [
        (Activity::Requests, &[JSON][..], true),
        (Activity::Requests, &[JSON, user, background], false),
        (Activity::Declared, &[JSON], false),
        (Activity::Declared, &[JSON, user], true),
        (Activity::Declared, &[JSON, user, background], false),
        (Activity::Declared, &[JSON, ("session-activity", "yes")], false),
    ] {
        let service = Service::with(|builder| builder.activity(activity));
        let grant = service.engineer("bob", "acme").await;
        service.clock.advance(20 * MINUTE);
        let answer = refresh(&service, headers, presented(&grant)).await.ok();
        let left = if counts { 3 * 86_400 } else { 3 * 86_400 - 1200 };
        assert_eq!(answer["idle_expires_in"], left, "{activity:?} {headers:?}");
    }
    let service = Service::with(|builder| builder.activity(Activity::Declared));
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(20 * MINUTE);
    let token = |grant: &Grant| grant.refresh_token().expect("the feature is on").to_owned();
    let next = service.sessions.refresh(&token(&grant)).await.expect("the session is active");
    assert_eq!(next.idle_expires_in(), 3 * DAY - 20 * MINUTE, "by default no activity");
    let next = service.sessions.refresh(&token(&next)).user().await.expect("it is active");
    assert_eq!(next.idle_expires_in(), 3 * DAY);
}

#[tokio::test]
async fn a_repeated_refresh_says_what_is_left_of_its_token() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    let first = refresh(&service, &[JSON], presented(&grant)).await.ok();
    service.clock.advance(10 * MINUTE);
    let again = refresh(&service, &[JSON], presented(&grant)).await.ok();
    assert_eq!(again["access_token"], first["access_token"]);
    assert_eq!((&first["expires_in"], &again["expires_in"]), (&json!(900), &json!(300)));
}

#[tokio::test]
async fn idle_and_reused_refresh_tokens_have_different_codes() {
    let service = Service::new();
    let (late, twice) = (service.engineer("bob", "acme").await, service.owner("ada", "acme").await);
    let next = refresh(&service, &[JSON], presented(&twice)).await.ok();
    service.entry(&serde_json::from_value(next).expect("a grant")).await;
    service.clock.advance(MINUTE);
    let answer = refresh(&service, &[JSON], presented(&twice)).await;
    assert_eq!(answer.problem(), problem(401, "refresh_token_reused"));
    assert!(answer.headers["www-authenticate"].to_str().expect("UTF-8").starts_with("Bearer "));
    service.clock.advance(3 * DAY);
    let answer = refresh(&service, &[JSON], presented(&late)).await;
    assert_eq!(answer.problem(), problem(401, "session_expired_idle"));
}

#[tokio::test]
async fn no_token_is_an_invalid_token() {
    let service = Service::new();
    let access = service.engineer("bob", "acme").await.access_token().to_owned();
    for body in [
        json!({}),
        json!({ "refresh_token": "" }),
        json!({ "refresh_token": null }),
        json!({ "refresh_token": 7 }),
        json!({ "refresh_token": ["a"] }),
        json!({ "refresh_token": { "a": 1 } }),
        json!({ "refresh_token": "é.🦀.\u{0}" }),
        json!({ "refresh_token": "a".repeat(16_000) }),
        json!({ "refresh_token": access }),
        json!([access]),
        json!("text"),
        Value::Null,
        json!(7),
    ] {
        let answer = refresh(&service, &[JSON], body.to_string()).await;
        assert_eq!(answer.problem(), problem(401, "invalid_refresh_token"), "{body}");
    }
    for escaped in [r#"{"refresh_token":"\ud800"}"#, r#"{"refresh_token":1e999}"#] {
        let answer = refresh(&service, &[JSON], escaped).await;
        assert_eq!(answer.problem(), problem(401, "invalid_refresh_token"), "{escaped}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_malformed() {
    let service = Service::new();
    for body in
        [&b""[..], b"{", b"{\"refresh_token\":}", b"\xff\xfe", b"{} {}", b" ", b"{\"a\":\"\xc3\"}"]
    {
        let answer = refresh(&service, &[JSON], body.to_vec()).await;
        assert_eq!(answer.problem(), problem(400, "malformed_body"), "{body:?}");
    }
    let deep = "[".repeat(8_000);
    let answer = refresh(&service, &[JSON], deep).await;
    assert_eq!(answer.problem(), problem(400, "malformed_body"));
    let deep = "[".repeat(8_000) + &"]".repeat(8_000);
    let answer = refresh(&service, &[JSON], deep).await;
    assert_eq!(answer.problem(), problem(401, "invalid_refresh_token"));
}

#[tokio::test]
async fn another_content_type_is_a_415() {
    let service = Service::new();
    let body = presented(&service.engineer("bob", "acme").await);
    for content_type in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "text/json",
        "json",
        "application/",
        "",
    ] {
        let answer = refresh(&service, &[("content-type", content_type)], body.clone()).await;
        assert_eq!(answer.problem(), problem(415, "unsupported_media_type"), "{content_type}");
    }
    for headers in [&[][..], &[JSON, JSON]] {
        let answer = refresh(&service, headers, body.clone()).await;
        assert_eq!(answer.problem(), problem(415, "unsupported_media_type"), "{headers:?}");
    }
    let whole = ("content-type", "Application/JSON; charset=utf-8");
    refresh(&service, &[whole], body).await.ok();
}

#[tokio::test]
async fn a_body_over_sixteen_kibibytes_is_refused() {
    let service = Service::new();
    let most = presented(&service.engineer("bob", "acme").await);
    let most = format!("{most}{}", " ".repeat(16 * 1024 - most.len()));
    let answer = refresh(&service, &[JSON], format!("{most} ")).await;
    assert_eq!(answer.problem(), problem(413, "body_too_large"));
    refresh(&service, &[JSON], most).await.ok();
}

fn form(service: &Service, body: impl Into<Body>) -> impl Future<Output = Answer> {
    let content_type = "application/x-www-form-urlencoded; charset=utf-8";
    service.send_form(request("POST /refresh").header("content-type", content_type), body)
}

#[tokio::test]
async fn a_form_is_answered_as_rfc_6749_says() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    let token = grant.refresh_token().expect("the feature is on");
    service.clock.advance(20 * MINUTE);
    let good = format!("client_id=app&grant_type=refresh_token&refresh_token={token}");
    let answer = form(&service, good.clone()).await.ok();
    service.entry(&serde_json::from_value(answer.clone()).expect("a grant")).await;
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(answer["session_id"], grant.session_id());
    service.clock.advance(MINUTE);
    let used = form(&service, good).await;
    assert_eq!(used.status, 400);
    assert_eq!(used.headers["content-type"], "application/json");
    assert_eq!(used.headers["session-error"], "refresh_token_reused");
    let description = "The refresh token was used before. The session was revoked.";
    let error = json!({ "error": "invalid_grant", "error_description": description });
    assert_eq!(used.json(), error);
}

#[tokio::test]
async fn a_form_that_is_wrong_names_the_error_of_rfc_6749() {
    let service = Service::new();
    let access = service.engineer("bob", "acme").await.access_token().to_owned();
    for (body, error) in [
        ("", "invalid_request"),
        ("refresh_token=x", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=refresh_token&grant_type=refresh_token&refresh_token=x", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=x&refresh_token=x", "invalid_request"),
        (r#"{"refresh_token":"x"}"#, "invalid_request"),
        ("grant_type=password&refresh_token=x", "unsupported_grant_type"),
        ("grant_type=&refresh_token=x", "unsupported_grant_type"),
        ("grant_type=refresh_token&refresh_token=", "invalid_grant"),
        ("grant_type=refresh_token&refresh_token=%FF%00%zz", "invalid_grant"),
        (&format!("grant_type=refresh_token&refresh_token={access}"), "invalid_grant"),
    ] {
        let answer = form(&service, body.to_owned()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["error"], error, "{body}");
    }
    let long = form(&service, "a".repeat(16 * 1024 + 1)).await;
    assert_eq!(long.problem(), problem(413, "body_too_large"));
}
