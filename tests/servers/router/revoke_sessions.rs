//! `POST /auth/revoke-sessions`.

use serde_json::{Value, json};
use tower_sliding_session::Grant;

use super::service::{MINUTE, Service, problem};

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
async fn an_empty_body_is_scope_all() {
    let account = Account::new().await;
    let answer = account.service.call("POST /revoke-sessions", &account.owner).await;
    assert_eq!(answer.ok(), json!({ "revoked_count": 3 }));
    assert_eq!(account.alive().await, [false; 3]);
    let account = Account::new().await;
    assert_eq!(account.revoke(&json!({})).await, json!({ "revoked_count": 3 }));
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
async fn p04_all_gives_the_caller_no_successor() {
    let account = Account::new().await;
    account.service.clock.advance(10 * MINUTE);
    let answer = account.service.call("POST /revoke-sessions", &account.owner).await;
    assert_eq!(answer.ok()["revoked_count"], 3);
    assert!(!answer.headers.contains_key("x-refreshed-token"));
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
    for body in [json!({}), json!({ "scope": "all" }), json!({ "scope": "x" })] {
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
    assert_eq!(service.call(line, &presented).await.ok(), json!({ "revoked_count": 1 }));
    assert!(!service.is_accepted(&presented).await && service.is_accepted(&other).await);
}
