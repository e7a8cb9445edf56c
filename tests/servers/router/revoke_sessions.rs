//! `POST /auth/revoke-sessions`.

use serde_json::{Value, json};
use tower_sliding_session::Grant;

use super::service::{MINUTE, Service, by, problem};

const JSON: &str = "application/json";

struct Account {
    service: Service,
    owner: Grant,
    owners_phone: Grant,
    engineer: Grant,
    stranger: Grant,
    namesake: Grant,
}

impl Account {
    async fn new() -> Self {
        let service = Service::new();
        Self {
            owner: service.owner("ada", "acme").await,
            owners_phone: service.owner("ada", "acme").await,
            engineer: service.engineer("bob", "acme").await,
            stranger: service.owner("eve", "globex").await,
            namesake: service.owner("ada", "globex").await,
            service,
        }
    }

    async fn revoke(&self, body: &Value) -> Value {
        self.service.send_json("POST /revoke-sessions", &self.owner, body).await.ok()
    }

    /// The owner, the owner's phone, an engineer.
    async fn alive(&self) -> [bool; 3] {
        let Self { service, owner, owners_phone, engineer, .. } = self;
        assert!(
            service.is_accepted(&self.stranger).await && service.is_accepted(&self.namesake).await
        );
        [
            service.is_accepted(owner).await,
            service.is_accepted(owners_phone).await,
            service.is_accepted(engineer).await,
        ]
    }
}

#[tokio::test]
async fn scope_all_includes_the_caller() {
    let account = Account::new().await;
    assert_eq!(account.revoke(&json!({ "scope": "all" })).await, json!({ "revoked_count": 3 }));
    assert_eq!(account.alive().await, [false; 3]);
    let answer = account.service.call("GET /sessions", &account.owner).await;
    assert_eq!(answer.problem(), problem(401, "session_revoked"));
}

#[tokio::test]
async fn an_empty_object_is_scope_all() {
    let account = Account::new().await;
    assert_eq!(account.revoke(&json!({})).await, json!({ "revoked_count": 3 }));
    assert_eq!(account.alive().await, [false; 3]);
}

/// A form of another site can send each of these with the cookie of a user.
#[tokio::test]
async fn a_body_that_is_not_declared_as_json_revokes_nothing() {
    let account = Account::new().await;
    let types = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
    ];
    for content_type in types {
        for body in ["", "{}", r#"{"scope":"mine"}"#, "scope=all"] {
            let mut request = by("POST /revoke-sessions", &account.owner);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let answer = account.service.send(request, body).await;
            let unsupported = problem(415, "unsupported_media_type");
            assert_eq!(answer.problem(), unsupported, "{content_type:?} {body}");
        }
    }
    let empty = by("POST /revoke-sessions", &account.owner).header("content-type", JSON);
    let answer = account.service.send(empty, "").await;
    assert_eq!(answer.problem(), problem(400, "malformed_body"));
    assert_eq!(account.alive().await, [true; 3]);
}

#[tokio::test]
async fn every_user_ends_all_own_sessions_or_all_but_the_presented_one() {
    let service = Service::new();
    for (role, tenant) in [("engineer", Some("acme")), ("owner", Some("acme")), ("none", None)] {
        let own = async || service.start("bob", tenant, role).await;
        let [presented, phone, tablet] = [own().await, own().await, own().await];
        let others = [
            service.owner("ada", "acme").await,
            service.engineer("bob", "globex").await,
            service.start("eve", None, "owner").await,
        ];
        let line = "POST /revoke-sessions";
        let my_others = json!({ "scope": "my_others" });
        let answer = service.send_json(line, &presented, &my_others).await;
        assert_eq!(answer.ok(), json!({ "revoked_count": 2 }), "{role}");
        assert!(service.is_accepted(&presented).await);
        assert!(!service.is_accepted(&phone).await && !service.is_accepted(&tablet).await);
        service.clock.advance(MINUTE);
        let later = own().await;
        let answer = service.send_json(line, &presented, &json!({ "scope": "mine" })).await;
        assert_eq!(answer.ok(), json!({ "revoked_count": 2 }), "{role}");
        assert!(!service.is_accepted(&presented).await && !service.is_accepted(&later).await);
        for other in &others {
            assert!(service.is_accepted(other).await, "{role}");
        }
        service.clock.advance(MINUTE);
    }
}

/// Sessions that began before the store lost everything.
#[tokio::test]
async fn sessions_that_the_store_does_not_know_end_like_others() {
    for (scope, role) in [("my_others", "engineer"), ("my_others", "owner"), ("others", "owner")] {
        let (before, service) = (Service::new(), Service::new());
        let start = async |user| before.start(user, Some("acme"), role).await;
        let [presented, phone, other] =
            [start("ada").await, start("ada").await, start("bob").await];
        let line = "POST /revoke-sessions";
        for _ in 0..2 {
            let answer = service.send_json(line, &presented, &json!({ "scope": scope })).await;
            assert_eq!(answer.ok(), json!({ "revoked_count": 0 }), "{scope}");
            assert!(service.is_accepted(&presented).await, "{scope} {role}");
        }
        assert!(!service.is_accepted(&phone).await, "{scope} {role}");
        assert_eq!(service.is_accepted(&other).await, scope == "my_others");
        // In the same millisecond.
        service.send_json(line, &presented, &json!({ "scope": "mine" })).await.ok();
        assert!(!service.is_accepted(&presented).await, "{scope} {role}");
    }
}

#[tokio::test]
async fn scope_others_exempts_every_session_of_the_caller() {
    let account = Account::new().await;
    let others = json!({ "scope": "others" });
    assert_eq!(account.revoke(&others).await, json!({ "revoked_count": 1 }));
    assert_eq!(account.alive().await, [true, true, false]);
    assert_eq!(account.revoke(&others).await, json!({ "revoked_count": 0 }));
    assert_eq!(account.alive().await, [true, true, false]);
}

#[tokio::test]
async fn p04_a_caller_who_is_revoked_gets_no_successor() {
    for (scope, count) in [("mine", 2), ("all", 3)] {
        let account = Account::new().await;
        account.service.clock.advance(10 * MINUTE);
        let body = json!({ "scope": scope });
        let line = "POST /revoke-sessions";
        let answer = account.service.send_json(line, &account.owner, &body).await;
        assert_eq!(answer.ok()["revoked_count"], count);
        assert!(!answer.headers.contains_key("x-refreshed-token"), "{scope}");
    }
}

#[tokio::test]
async fn p29_a_sign_in_after_the_revocation_is_active() {
    let account = Account::new().await;
    account.revoke(&json!({})).await;
    let again = account.service.engineer("bob", "acme").await;
    assert!(account.service.is_accepted(&again).await);
}

#[tokio::test]
async fn revoking_an_account_requires_the_owner_role() {
    let account = Account::new().await;
    for body in [json!({}), json!({ "scope": "all" }), json!({ "scope": "others" })] {
        let line = "POST /revoke-sessions";
        let answer = account.service.send_json(line, &account.engineer, &body).await;
        assert_eq!(answer.problem(), problem(403, "forbidden"), "{body}");
    }
    assert_eq!(account.alive().await, [true; 3]);
}

#[tokio::test]
async fn an_unknown_scope_revokes_nothing() {
    let account = Account::new().await;
    for body in [
        json!({ "scope": "everyone" }),
        json!({ "scope": "ALL" }),
        json!({ "scope": "my-others" }),
        json!({ "scope": "MyOthers" }),
        json!({ "scope": "" }),
        json!({ "scope": null }),
        json!({ "scope": 1 }),
        json!({ "scope": ["all"] }),
        json!({ "scope": "öthers" }),
        json!({ "scop": "others" }),
        json!({ "scope": "others", "sid": "x" }),
        json!(["all"]),
        json!("all"),
        json!(null),
    ] {
        let answer =
            account.service.send_json("POST /revoke-sessions", &account.owner, &body).await;
        assert_eq!(answer.problem(), problem(422, "invalid_parameter"), "{body}");
    }
    assert_eq!(account.alive().await, [true; 3]);
}

#[tokio::test]
async fn without_an_account_the_callers_own_sessions_are_revoked() {
    let service = Service::new();
    let presented = service.start("zoe", None, "anyone").await;
    let phone = service.start("zoe", None, "anyone").await;
    let other = service.start("yan", None, "owner").await;
    let line = "POST /revoke-sessions";
    let answer = service.send_json(line, &presented, &json!({ "scope": "others" })).await;
    assert_eq!(answer.ok(), json!({ "revoked_count": 1 }));
    assert!(service.is_accepted(&presented).await && !service.is_accepted(&phone).await);
    service.clock.advance(MINUTE);
    assert_eq!(
        service.send_json(line, &presented, &json!({})).await.ok(),
        json!({ "revoked_count": 1 })
    );
    assert!(!service.is_accepted(&presented).await && service.is_accepted(&other).await);
}
