//! `GET /auth/sessions` and `DELETE /auth/sessions/{sid}`.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tower_sliding_session::{Grant, store::ListQuery};

use super::service::{BEGIN, DAY, MINUTE, Service, problem};

async fn listed(service: &Service, query: &str, grant: &Grant) -> Vec<String> {
    let answer = service.call(&format!("GET /sessions{query}"), grant).await.ok();
    let sessions = answer["sessions"].as_array().expect("a list").iter();
    sessions.map(|it| it["session_id"].as_str().expect("a sid").to_owned()).collect()
}

fn sids<const N: usize>(grants: [&Grant; N]) -> Vec<String> {
    grants.iter().map(|grant| grant.session_id().to_owned()).collect()
}

#[tokio::test]
async fn a_user_sees_all_their_own_sessions_only() {
    let service = Service::new();
    let first = service.engineer("bob", "acme").await;
    service.owner("ada", "acme").await;
    service.engineer("bob", "globex").await;
    service.start("bob", None, "engineer").await;
    service.clock.advance(MINUTE);
    let second = service.engineer("bob", "acme").await;
    service.clock.advance(MINUTE);
    let answer = service.call("GET /sessions", &second).await.ok();
    let session = |grant: &Grant, signed_in, last_seen, current| {
        json!({
            "session_id": grant.session_id(),
            "user_id": "bob",
            "profile": "normal",
            "signed_in_at": (BEGIN + signed_in).to_string(),
            "last_seen_at": (BEGIN + last_seen).to_string(),
            "idle_expires_at": (BEGIN + last_seen + 3 * DAY).to_string(),
            "absolute_expires_at": (BEGIN + signed_in + 14 * DAY).to_string(),
            "current": current,
        })
    };
    let sessions = [
        session(&second, MINUTE, 2 * MINUTE, true),
        session(&first, Duration::ZERO, Duration::ZERO, false),
    ];
    assert_eq!(answer, json!({ "sessions": sessions, "next": null }));
}

#[tokio::test]
async fn a_listed_session_has_the_label_that_the_app_gave_it() {
    let service = Service::new();
    let label = json!({ "device": "Laptop", "since": 1.50 });
    let start = service.sessions.start("bob").tenant("acme");
    let grant = start.label(&label).await.expect("a session");
    service.engineer("bob", "acme").await;
    let answer = service.call("GET /sessions", &grant).await.ok();
    let labels: Vec<_> = answer["sessions"].as_array().expect("a list").iter().collect();
    assert_eq!(labels.iter().filter(|it| it.get("label") == Some(&label)).count(), 1);
    assert_eq!(labels.iter().filter(|it| it.get("label").is_none()).count(), 1);
}

#[tokio::test]
async fn a_list_page_starts_at_its_cursor() {
    let service = Service::new();
    let mut grants = Vec::new();
    for _ in 0..5 {
        grants.push(service.engineer("bob", "acme").await);
        service.clock.advance(MINUTE);
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        seen.extend(listed(&service, &query, &grants[0]).await);
        let answer = service.call(&format!("GET /sessions{query}"), &grants[0]).await.ok();
        let Value::String(next) = &answer["next"] else { break };
        query = format!("?limit=2&cursor={next}");
    }
    let latest_first: Vec<String> =
        grants.iter().rev().map(|grant| grant.session_id().to_owned()).collect();
    assert_eq!(seen, latest_first);
}

#[tokio::test]
async fn listing_the_account_requires_the_owner_role() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    service.clock.advance(MINUTE);
    let engineer = service.engineer("bob", "acme").await;
    let stranger = service.owner("eve", "globex").await;
    let without_account = service.start("ada", None, "owner").await;
    assert_eq!(listed(&service, "?scope=account", &owner).await, sids([&engineer, &owner]));
    assert_eq!(listed(&service, "?scope=account", &stranger).await, sids([&stranger]));
    assert_eq!(listed(&service, "?scope=own", &owner).await, sids([&owner]));
    for grant in [&engineer, &without_account] {
        let answer = service.call("GET /sessions?scope=account", grant).await;
        assert_eq!(answer.problem(), problem(403, "forbidden"));
    }
}

#[tokio::test]
async fn an_invalid_query_parameter_is_named() {
    let service = Service::new();
    let grant = service.owner("ada", "acme").await;
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1.5", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999999999", "limit"),
        ("limit=%F0%9F%A6%80", "limit"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=%00%FF", "cursor"),
        ("scope=everything", "scope"),
        ("scope=", "scope"),
    ] {
        let answer = service.call(&format!("GET /sessions?{query}"), &grant).await;
        assert_eq!(answer.problem(), problem(422, "invalid_parameter"), "{query}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
    let answer = service.call("GET /sessions?limit=0&scope=x", &grant).await;
    assert_eq!(answer.json()["errors"].as_array().map(Vec::len), Some(2));
    assert_eq!(answer.json()["errors"][0]["bound"], json!({ "min": 1, "max": 200 }));
    let twice = service.call("GET /sessions?limit=1&limit=2", &grant).await;
    assert_eq!(twice.problem(), problem(422, "invalid_parameter"));
    service.call("GET /sessions?limit=100&unknown=%zz", &grant).await.ok();
}

#[tokio::test]
async fn a_user_revokes_a_session_of_their_own() {
    let service = Service::new();
    let (phone, laptop) =
        (service.engineer("bob", "acme").await, service.engineer("bob", "acme").await);
    let line = format!("DELETE /sessions/{}", phone.session_id());
    let answer = service.call(&line, &laptop).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::NO_CONTENT, ""));
    assert!(!service.is_accepted(&phone).await);
    assert!(service.is_accepted(&laptop).await);
    let answer = service.call(&line, &laptop).await;
    assert_eq!(answer.problem(), problem(404, "session_not_found"));
}

#[tokio::test]
async fn p40_the_record_of_a_revoked_session_names_the_user_who_revoked_it() {
    let service = Service::new();
    let [owner, bob] = [service.owner("ada", "acme").await, service.engineer("bob", "acme").await];
    for ended in [&bob, &owner] {
        let line = format!("DELETE /sessions/{}", ended.session_id());
        assert_eq!(service.call(&line, &owner).await.status, StatusCode::NO_CONTENT);
    }
    let everything = service.sessions.everything();
    let log = service.sessions.audit_log(everything, ListQuery::first(2)).await;
    let ada = service.sessions.user_scope(Some("acme"), "ada").key();
    for row in log.expect("the store answers").items {
        assert_eq!(row.event.name(), "session_ended");
        assert_eq!(row.actor.map(|actor| actor.user), Some(ada));
    }
}

#[tokio::test]
async fn a_user_revokes_the_presented_session_also_if_the_store_does_not_know_it() {
    let (before, service) = (Service::new(), Service::new());
    let [grant, phone] =
        [before.engineer("bob", "acme").await, before.engineer("bob", "acme").await];
    let line = |grant: &Grant| format!("DELETE /sessions/{}", grant.session_id());
    // Nothing proves whose it is.
    let unknown = service.call(&line(&phone), &grant).await;
    assert_eq!(unknown.problem(), problem(404, "session_not_found"));
    let answer = service.call(&line(&grant), &grant).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::NO_CONTENT, ""));
    let answer = service.call(&line(&grant), &grant).await;
    assert_eq!(answer.problem(), problem(401, "session_revoked"));
    assert!(service.is_accepted(&phone).await);
}

#[tokio::test]
async fn p04_revoking_the_presented_session_prevents_renewal() {
    let service = Service::new();
    let grant = service.engineer("bob", "acme").await;
    service.clock.advance(10 * MINUTE);
    let listed = service.call("GET /sessions", &grant).await;
    assert!(listed.headers.contains_key("x-refreshed-token"), "the renewal is due");
    service.clock.advance(2 * MINUTE);
    let answer = service.call(&format!("DELETE /sessions/{}", grant.session_id()), &grant).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(!answer.headers.contains_key("x-refreshed-token"));
    assert!(!service.is_accepted(&grant).await);
}

#[tokio::test]
async fn a_session_that_the_caller_may_not_revoke_is_not_found() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    let engineer = service.engineer("bob", "acme").await;
    let stranger = service.owner("eve", "globex").await;
    let namesake = service.engineer("bob", "globex").await;
    let revoked = service.owner("ada", "acme").await;
    service.sessions.revoke(revoked.session_id()).await.expect("the session is revoked");
    for (sid, grant) in [
        (owner.session_id(), &engineer),
        (owner.session_id(), &stranger),
        (engineer.session_id(), &stranger),
        (engineer.session_id(), &namesake),
        (revoked.session_id(), &owner),
        ("unknown", &owner),
        ("%F0%9F%A6%80", &owner),
        ("%FF", &owner),
        ("..", &owner),
        ("'%20OR%201=1--", &owner),
    ] {
        let answer = service.call(&format!("DELETE /sessions/{sid}"), grant).await;
        assert_eq!(answer.problem(), problem(404, "session_not_found"), "{sid}");
    }
    assert!(service.is_accepted(&owner).await && service.is_accepted(&engineer).await);
    let answer = service.call(&format!("DELETE /sessions/{}", engineer.session_id()), &owner).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(!service.is_accepted(&engineer).await);
}

#[tokio::test]
async fn p20_a_shortened_policy_shows_in_the_list_at_once() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    let idle = service.engineer("bob", "acme").await;
    service.clock.advance(70 * MINUTE);
    let refreshed = service.owner("ada", "acme").await;
    let change = json!({ "idle_timeout_minutes": 60, "absolute_timeout_minutes": 1440 });
    service.send_json("PATCH /security", &refreshed, &change).await.ok();
    assert_eq!(listed(&service, "?scope=account", &refreshed).await, sids([&refreshed]));
    let answer = service.call("GET /sessions", &refreshed).await.ok();
    let begin = BEGIN + 70 * MINUTE;
    assert_eq!(answer["sessions"][0]["idle_expires_at"], (begin + 60 * MINUTE).to_string());
    assert_eq!(answer["sessions"][0]["absolute_expires_at"], (begin + DAY).to_string());
    for revoked in [&owner, &idle] {
        let line = format!("DELETE /sessions/{}", revoked.session_id());
        assert_eq!(service.call(&line, &refreshed).await.status, StatusCode::NOT_FOUND);
    }
}
