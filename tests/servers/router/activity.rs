//! `GET /auth/activity`.

use serde_json::{Value, json};
use tower_sliding_session::Grant;

use super::service::{BEGIN, MINUTE, Service, by, problem};

async fn rows(service: &Service, query: &str, grant: &Grant) -> Vec<Value> {
    let answer = service.call(&format!("GET /activity{query}"), grant).await.ok();
    answer["rows"].as_array().expect("rows").clone()
}

#[tokio::test]
async fn a_request_adds_a_row_to_the_callers_activity_log() {
    let service = Service::new();
    let bob = service.engineer("bob", "acme").await;
    let ada = service.owner("ada", "acme").await;
    service.entry(&bob).await;
    service.clock.advance(MINUTE);
    service.entry(&ada).await;
    let detail = json!({
        "class": "user", "method": "GET", "route": "/me", "status": 200, "code": null,
    });
    let row = json!({ "at": BEGIN.to_string(), "event": "request", "detail": detail });
    assert_eq!(rows(&service, "", &bob).await, std::slice::from_ref(&row));
    assert_eq!(rows(&service, "?category=activity&scope=own", &bob).await.last(), Some(&row));
}

#[tokio::test]
async fn p40_a_write_is_logged_whatever_its_class() {
    let service = Service::new();
    let bob = service.engineer("bob", "acme").await;
    let background = |line: &str| by(line, &bob).header("session-activity", "background");
    let json = |line: &str| background(line).header("content-type", "application/json");
    service.send(json("POST /revoke-sessions"), r#"{"scope":"my_others"}"#).await.ok();
    service.send(json("PATCH /security"), "{}").await;
    service.send(background("DELETE /sessions/x"), "").await;
    service.send(background("GET /sessions"), "").await.ok();
    service.send(background("HEAD /sessions"), "").await;
    service.send(background("PURGE /sessions"), "").await;
    service.send(background("OPTIONS /sessions"), "").await;
    service.send(by("OPTIONS /sessions", &bob), "").await;
    let rows = service.send(background("GET /activity"), "").await.ok();
    let rows = rows["rows"].as_array().expect("rows").iter().rev();
    let logged: Vec<_> = rows.map(|row| row["detail"].clone()).collect();
    let row = |method, route, status: u16| {
        json!({
            "class": "background", "method": method, "route": route, "status": status, "code": null,
        })
    };
    let expected = [
        row("POST", "/auth/revoke-sessions", 200),
        row("PATCH", "/auth/security", 403),
        row("DELETE", "/auth/sessions/{sid}", 404),
        row("OTHER", "/auth/sessions", 405),
        row("OPTIONS", "/auth/sessions", 405),
        row("OPTIONS", "/auth/sessions", 405),
    ];
    assert_eq!(logged, expected);
}

#[tokio::test]
async fn the_security_log_is_separate_from_the_activity_log() {
    let service = Service::new();
    let bob = service.engineer("bob", "acme").await;
    let ada = service.owner("ada", "acme").await;
    let row = json!({ "at": BEGIN.to_string(), "event": "session_started", "detail": {} });
    assert_eq!(rows(&service, "?category=security", &bob).await, std::slice::from_ref(&row));
    let account = rows(&service, "?category=security&scope=account", &ada).await;
    assert_eq!(account, [row.clone(), row]);
}

#[tokio::test]
async fn a_log_page_starts_at_its_cursor() {
    let service = Service::new();
    let bob = service.engineer("bob", "acme").await;
    for _ in 0..3 {
        service.entry(&bob).await;
        service.clock.advance(MINUTE);
    }
    let mut at = Vec::new();
    let mut query = String::new();
    for _ in 0..2 {
        let line = format!("GET /activity?limit=2{query}");
        let request = by(&line, &bob).header("session-activity", "background");
        let answer = service.send(request, "").await.ok();
        at.extend(answer["rows"].as_array().expect("rows").iter().map(|row| row["at"].clone()));
        query = answer["next"].as_str().map_or(String::new(), |next| format!("&cursor={next}"));
    }
    let visits = [2, 1, 0].map(|minute| (BEGIN + minute * MINUTE).to_string());
    assert_eq!(at, visits);
    assert!(query.is_empty(), "no third page");
}

#[tokio::test]
async fn the_accounts_log_requires_the_owner_role() {
    let service = Service::new();
    let bob = service.engineer("bob", "acme").await;
    let eve = service.owner("eve", "globex").await;
    let without_account = service.start("ada", None, "owner").await;
    for grant in [&bob, &without_account] {
        let answer = service.call("GET /activity?scope=account", grant).await;
        assert_eq!(answer.problem(), problem(403, "forbidden"));
    }
    service.entry(&bob).await;
    assert_eq!(rows(&service, "?category=security&scope=account", &eve).await.len(), 1);
}

#[tokio::test]
async fn an_invalid_query_parameter_is_named() {
    let service = Service::new();
    let bob = service.engineer("bob", "acme").await;
    for (query, field) in [
        ("category=audit", "category"),
        ("category=", "category"),
        ("category=Security", "category"),
        ("category=%F0%9F%A6%80", "category"),
        ("limit=0", "limit"),
        ("limit=1e3", "limit"),
        ("limit=18446744073709551616", "limit"),
        ("cursor=0", "cursor"),
        ("scope=all", "scope"),
    ] {
        let answer = service.call(&format!("GET /activity?{query}"), &bob).await;
        assert_eq!(answer.problem(), problem(422, "invalid_parameter"), "{query}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{query}");
    }
}
