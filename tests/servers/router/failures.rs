//! What all routes share: authentication, and errors as problem details.

use serde_json::json;

use super::service::{Service, by, problem, request};

const GUARDED: [&str; 6] = [
    "GET /sessions",
    "DELETE /sessions/x",
    "POST /revoke-sessions",
    "GET /security",
    "PATCH /security",
    "GET /activity",
];

#[tokio::test]
async fn without_a_token_every_route_rejects() {
    let service = Service::new();
    for line in GUARDED.into_iter().chain(["GET /session"]) {
        let answer = service.send(request(line), "").await;
        assert_eq!(answer.problem(), problem(401, "missing_token"), "{line}");
    }
}

#[tokio::test]
async fn without_a_session_every_route_rejects_even_behind_an_optional_stack() {
    let service = Service::with(tower_sliding_session::sessions::SlidingSessionsBuilder::optional);
    for line in GUARDED {
        let answer = service.send(request(line), "hostile").await;
        assert_eq!(answer.problem(), problem(401, "missing_token"), "{line}");
    }
}

#[tokio::test]
async fn without_a_lifecycle_store_the_guarded_routes_are_503() {
    use std::sync::Arc;
    use tower_sliding_session::{audit::TracingSink, store::MemoryStore};

    let service = Service::bare(|builder| {
        builder.store(Arc::new(MemoryStore::new())).audit_sink(Arc::new(TracingSink))
    });
    let owner = service.start("ada", Some("acme"), "owner").await;
    for line in GUARDED {
        let answer = service.send_json(line, &owner, &json!({})).await;
        assert_eq!(answer.problem(), problem(503, "store_unavailable"), "{line}");
    }
}

#[tokio::test]
async fn another_method_is_a_405_with_allow() {
    let service = Service::new();
    let grant = service.owner("ada", "acme").await;
    for (line, allowed) in [
        ("PUT /sessions", "GET,HEAD"),
        ("GET /sessions/x", "DELETE"),
        ("DELETE /revoke-sessions", "POST"),
        ("POST /security", "GET,HEAD,PATCH"),
        ("POST /activity", "GET,HEAD"),
        ("GET /refresh", "POST"),
        ("POST /config", "GET,HEAD"),
        ("POST /session", "GET,HEAD"),
    ] {
        let answer = service.call(line, &grant).await;
        assert_eq!(answer.problem(), problem(405, "method_not_allowed"), "{line}");
        assert_eq!(answer.headers["allow"], allowed, "{line}");
    }
}

#[tokio::test]
async fn invalid_bodies_are_refused_before_any_change() {
    let service = Service::new();
    let owner = service.owner("ada", "acme").await;
    for line in ["POST /revoke-sessions", "PATCH /security"] {
        let typed = |content_type: &str| by(line, &owner).header("content-type", content_type);
        let answer = service.send(typed("application/json"), "{\"scope\":").await;
        assert_eq!(answer.problem(), problem(400, "malformed_body"), "{line}");
        let answer = service.send(typed("application/json"), " ".repeat(16 * 1024 + 1)).await;
        assert_eq!(answer.problem(), problem(413, "body_too_large"), "{line}");
        let answer = service.send(typed("text/plain"), json!({}).to_string()).await;
        assert_eq!(answer.problem(), problem(415, "unsupported_media_type"), "{line}");
    }
    assert!(service.is_accepted(&owner).await);
}
