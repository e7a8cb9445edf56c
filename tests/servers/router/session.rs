//! `GET /auth/session`.

use std::sync::Arc;

use axum::{Router, body::Body, http::Version};
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower_sliding_session::{
    Grant, JwtKeys, ManualClock, PathRules, Policy, RejectionKind, SessionCookie, SlidingSessions,
    request_class::{Methods, subtree},
    token::{Algorithm, SigningKey, VerifyingKey},
};

use super::service::{Answer, BEGIN, DAY, MINUTE, Service, by, problem, request};
use crate::client::Client;

const DECLARES_ACTIVITY: (&str, &str) = ("session-activity", "user");

async fn ask(service: &Service, grant: &Grant, headers: &[(&str, &str)]) -> Answer {
    let mut request = by("GET /session", grant);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    service.send(request, "").await
}

fn is_renewed(answer: &Answer) -> bool {
    answer.headers.contains_key("x-refreshed-token")
}

#[tokio::test]
async fn a_session_is_told_its_id_and_when_it_expires() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(5 * MINUTE);
    assert_eq!(
        service.call("GET /session", &grant).await.ok(),
        json!({
            "session_id": grant.session_id(),
            "expires_in": 600,
            "idle_expires_in": 3 * 86_400 - 300,
            "idle_expires_at": (BEGIN + 3 * DAY).to_string(),
            "absolute_expires_in": 14 * 86_400 - 300,
            "absolute_expires_at": (BEGIN + 14 * DAY).to_string(),
        })
    );
}

/// It has a lifetime of its own, and is judged by it: here eight times that of our policy.
#[tokio::test]
async fn p35_a_token_of_another_issuer_expires_at_its_own_time() {
    const ISSUER: &str = "https://idp.example";
    const SIGNING: &str = include_str!("../../keys_pem/es256.private.pem");
    const VERIFYING: &str = include_str!("../../keys_pem/es256.public.pem");
    let clock = ManualClock::new(BEGIN);
    let policy = Policy::builder().token_lifetime(480 * MINUTE).build().expect("a legal policy");
    let key = SigningKey::from_pem(Algorithm::ES256, SIGNING).expect("a key").kid("k");
    let idp = SlidingSessions::builder(JwtKeys::new(key), policy).issuer(ISSUER);
    let idp = idp.clock(clock.clone()).build().expect("a legal configuration");
    let keys = Arc::new(JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes"));
    let key = VerifyingKey::from_pem(Algorithm::ES256, VERIFYING).expect("a key").kid("k");
    keys.add_issuer_key(ISSUER, key).expect("a free kid");
    let policy = Policy::builder().build().expect("a legal policy");
    let sessions = SlidingSessions::builder(keys, policy).router_at("/auth").clock(clock.clone());
    let sessions = sessions.build().expect("a legal configuration");
    let app = Router::new().nest("/auth", sessions.router()).layer(sessions.layer());
    let grant = idp.start("eve").await.expect("a session");
    for left in [8 * 3600, 8 * 3600 - 600] {
        let request = by("GET /session", &grant).body(Body::empty()).expect("a request");
        let answer = app.clone().oneshot(request).await.expect("a response");
        let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(answer["expires_in"], left, "{answer}");
        clock.advance(10 * MINUTE);
    }
}

#[tokio::test]
async fn the_idle_deadline_is_never_later_than_the_absolute_one() {
    let service = Service::new();
    let mut grant = service.engineer("bob", "acme").await;
    for days in (2..14).step_by(2) {
        service.clock.set(BEGIN + days * DAY);
        let refreshed = service.sessions.refresh(grant.refresh_token().expect("the feature is on"));
        grant = refreshed.await.expect("the session is active");
    }
    let answer = service.call("GET /session", &grant).await.ok();
    for deadline in ["idle", "absolute"] {
        assert_eq!(answer[format!("{deadline}_expires_in")], 2 * 86_400);
        let at = (BEGIN + 14 * DAY).to_string();
        assert_eq!(answer[format!("{deadline}_expires_at")], at);
    }
    let granted = serde_json::to_value(&grant).expect("JSON");
    assert_eq!(granted["idle_expires_in"], 2 * 86_400);
    assert_eq!(granted["absolute_expires_in"], 2 * 86_400);
}

#[tokio::test]
async fn p17_asking_neither_counts_nor_renews() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    // The renewal is due after 7.5 minutes.
    service.clock.advance(10 * MINUTE);
    for headers in [
        &[][..],
        &[("session-activity", "background")],
        &[("session-activity", "users")],
        &[("session-activity", "")],
        &[("session-activity", "user, background")],
        &[DECLARES_ACTIVITY, ("session-activity", "background")],
    ] {
        let answer = ask(&service, &grant, headers).await;
        assert!(!is_renewed(&answer), "{headers:?}");
        assert_eq!(answer.ok()["idle_expires_in"], 3 * 86_400 - 600, "{headers:?}");
    }
}

#[tokio::test]
async fn p17_asking_to_stay_signed_in_counts_and_renews() {
    for value in ["user", "User", " USER\t", "user, user"] {
        let service = Service::new();
        let grant = service.engineer("bob", "acme").await;
        service.clock.advance(10 * MINUTE);
        let answer = ask(&service, &grant, &[("session-activity", value)]).await;
        assert!(is_renewed(&answer), "{value:?}");
        let answer = answer.ok();
        assert_eq!(answer["idle_expires_in"], 3 * 86_400);
        assert_eq!(answer["idle_expires_at"], (BEGIN + 10 * MINUTE + 3 * DAY).to_string());
        assert_eq!(answer["absolute_expires_in"], 14 * 86_400 - 600);
    }
}

#[tokio::test]
async fn the_class_of_the_route_does_not_depend_on_the_rules_of_the_app() {
    let rules = || PathRules::new().public(subtree("/auth")).strip_prefix("/app");
    let service = Service::with(|builder| {
        builder.path_rules(rules()).classify(Methods::reads_are_background())
    });
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(10 * MINUTE);
    let send = async |path: &str, activity: Option<&str>| {
        let mut request = by("GET ", &grant).uri(path);
        if let Some(activity) = activity {
            request = request.header("session-activity", activity);
        }
        service.send_anywhere(request, "").await
    };
    // The rules and the stack see the prefix of the proxy, which the router does not have.
    let answer = send("/app/auth/session", Some("user")).await;
    assert!(answer.status.as_u16() == 404 && !is_renewed(&answer));
    let idle = async || {
        let record = service.sessions.session(grant.session_id()).await.expect("the store answers");
        record.expect("the session is active").last_seen
    };
    assert_eq!(idle().await, BEGIN + 10 * MINUTE);
    service.clock.advance(MINUTE);
    send("/app/auth/session", None).await;
    send("/me", Some("user")).await;
    send("/auth/session", Some("user")).await;
    assert_eq!(idle().await, BEGIN + 10 * MINUTE, "no other path can be raised");
}

#[tokio::test]
async fn p17_no_other_route_is_activity_because_the_client_says_so() {
    let rules = PathRules::new().background("/me").background(subtree("/auth/session"));
    let service = Service::with(|builder| builder.path_rules(rules));
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(10 * MINUTE);
    for (line, uri) in [
        ("GET ", "/me"),
        ("POST ", "/auth/session"),
        ("GET ", "/auth/session/"),
        ("GET ", "/auth/session/x"),
    ] {
        let request = by(line, &grant).uri(uri).header("session-activity", "user");
        let answer = service.send_anywhere(request, "").await;
        assert!(!is_renewed(&answer), "{line}{uri}");
    }
}

#[tokio::test]
async fn a_session_that_has_ended_is_named_by_its_code() {
    let service = Service::new();
    let answer = service.send(request("GET /session"), "").await;
    assert_code(&answer, RejectionKind::MissingToken);

    let revoked = service.engineer("bob", "acme").await;
    service.sessions.revoke(revoked.session_id()).await.expect("the session is revoked");
    assert_code(&ask(&service, &revoked, &[]).await, RejectionKind::SessionRevoked);

    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(15 * MINUTE);
    for headers in [&[][..], &[DECLARES_ACTIVITY]] {
        let answer = ask(&service, &grant, headers).await;
        assert_code(&answer, RejectionKind::TokenExpired);
    }
    service.clock.set(BEGIN + 3 * DAY - MINUTE);
    let refreshed = service.sessions.refresh(grant.refresh_token().expect("the feature is on"));
    let grant = refreshed.background().await.expect("the session is active");
    service.clock.set(BEGIN + 3 * DAY);
    for headers in [&[][..], &[DECLARES_ACTIVITY]] {
        let answer = ask(&service, &grant, headers).await;
        assert_code(&answer, RejectionKind::SessionExpiredIdle);
    }
}

/// Checks that body and header of a rejection have the code of `kind`.
fn assert_code(answer: &Answer, kind: RejectionKind) {
    assert_eq!(answer.problem(), problem(401, kind.code()));
    assert_eq!(answer.headers["session-error"], kind.code());
}

#[tokio::test]
async fn a_refused_refresh_token_is_named_by_its_code_in_the_header() {
    let service = Service::new();
    for content_type in ["application/json", "application/x-www-form-urlencoded"] {
        let request = request("POST /refresh")
            .header("content-type", content_type)
            .header("origin", "https://app.example");
        let body = match content_type {
            "application/json" => r#"{"refresh_token":"x"}"#,
            _ => "grant_type=refresh_token&refresh_token=x",
        };
        let answer = service.send_form(request, body).await;
        assert_eq!(answer.headers["session-error"], "invalid_refresh_token", "{content_type}");
        let exposed = answer.headers["access-control-expose-headers"].to_str().expect("names");
        assert!(exposed.split(", ").any(|name| name == "session-error"), "{exposed}");
    }
    let session_error = HeaderName::from_static("session-error");
    assert!(service.sessions.exposed_headers().contains(&session_error));
}

#[tokio::test]
async fn no_lifecycle_store_is_needed() {
    let service =
        Service::bare(|builder| builder.store(tower_sliding_session::store::MemoryStore::new()));
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(MINUTE);
    let answer = ask(&service, &grant, &[]).await.ok();
    assert_eq!(answer["idle_expires_in"], 3 * 86_400 - 60);
    assert_eq!(answer["session_id"], grant.session_id());
}

fn body_of(response: &Response<bytes::Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

#[tokio::test]
async fn p17_over_tcp_a_cookie_is_renewed_only_for_a_user_who_stays() {
    let service = Service::with(|builder| {
        builder.session_cookie(SessionCookie::new()).path_rules(PathRules::new().public("/login"))
    });
    let client = Client::new(service.serve().await, Version::HTTP_11);
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(10 * MINUTE);
    let carrying = || {
        Request::get("/auth/session")
            .header("cookie", format!("__Host-session={}", grant.access_token()))
    };
    let asked = client.send(carrying()).await;
    assert_eq!(asked.status(), 200);
    assert_eq!(asked.headers().get("set-cookie"), None);
    assert_eq!(body_of(&asked)["session_id"], grant.session_id());
    assert_eq!(body_of(&asked)["idle_expires_in"], 3 * 86_400 - 600);

    let user = HeaderValue::from_static("user");
    let stayed = client.send(carrying().header("session-activity", user)).await;
    let cookie = stayed.headers()["set-cookie"].to_str().expect("ASCII");
    assert!(cookie.starts_with("__Host-session="), "the cookie is renewed");
    assert_eq!(stayed.headers().get("x-refreshed-token"), None);
    assert_eq!(body_of(&stayed)["idle_expires_in"], 3 * 86_400);
}

#[tokio::test]
async fn over_tcp_a_head_request_has_the_headers_alone() {
    let service = Service::new();
    let client = Client::new(service.serve().await, Version::HTTP_11);
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(10 * MINUTE);
    let bearer = format!("Bearer {}", grant.access_token());
    let head = || Request::head("/auth/session").header("authorization", &bearer);
    let asked = client.send(head()).await;
    assert_eq!((asked.status().as_u16(), asked.body().len()), (200, 0));
    assert!(!asked.headers().contains_key("x-refreshed-token"));
    let stayed = client.send(head().header("session-activity", "user")).await;
    assert!(stayed.headers().contains_key("x-refreshed-token"));
}
