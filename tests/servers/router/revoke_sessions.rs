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
        self.service.tell("POST /revoke-sessions", &self.owner, body).await.ok()
    }

    /// Owner, owner's phone, engineer.
    async fn alive(&self) -> [bool; 3] {
        let Self { service, owner, owners_phone, engineer, .. } = self;
        assert!(service.is_alive(&self.stranger).await && service.is_alive(&self.namesake).await);
        [
            service.is_alive(owner).await,
            service.is_alive(owners_phone).await,
            service.is_alive(engineer).await,
        ]
    }
}

#[tokio::test]
async fn all_means_the_caller_too() {
    let account = Account::new().await;
    assert_eq!(account.revoke(&json!({ "scope": "all" })).await, json!({ "revoked_count": 3 }));
    assert_eq!(account.alive().await, [false; 3]);
    let answer = account.service.ask("GET /sessions", &account.owner).await;
    assert_eq!(answer.problem(), problem(401, "session_revoked"));
}

#[tokio::test]
async fn an_empty_body_means_all() {
    let account = Account::new().await;
    let answer = account.service.ask("POST /revoke-sessions", &account.owner).await;
    assert_eq!(answer.ok(), json!({ "revoked_count": 3 }));
    assert_eq!(account.alive().await, [false; 3]);
    let account = Account::new().await;
    assert_eq!(account.revoke(&json!({})).await, json!({ "revoked_count": 3 }));
}

#[tokio::test]
async fn others_spares_every_session_of_the_caller() {
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
    let answer = account.service.ask("POST /revoke-sessions", &account.owner).await;
    assert_eq!(answer.ok()["revoked_count"], 3);
    assert!(!answer.headers.contains_key("x-refreshed-token"));
}

#[tokio::test]
async fn p29_who_signs_in_afterwards_stays() {
    let account = Account::new().await;
    account.revoke(&json!({})).await;
    let again = account.service.engineer("bob", "acme").await;
    assert!(account.service.is_alive(&again).await);
}

#[tokio::test]
async fn it_is_for_the_owner() {
    let account = Account::new().await;
    for body in [json!({}), json!({ "scope": "all" }), json!({ "scope": "x" })] {
        let line = "POST /revoke-sessions";
        let answer = account.service.tell(line, &account.engineer, &body).await;
        assert_eq!(answer.problem(), problem(403, "forbidden"), "{body}");
    }
    assert_eq!(account.alive().await, [true; 3]);
}

#[tokio::test]
async fn an_unknown_scope_ends_nothing() {
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
        let answer = account.service.tell("POST /revoke-sessions", &account.owner, &body).await;
        assert_eq!(answer.problem(), problem(422, "invalid_parameter"), "{body}");
    }
    assert_eq!(account.alive().await, [true; 3]);
}

#[tokio::test]
async fn without_an_account_it_is_about_the_callers_own_sessions() {
    let service = Service::new();
    let presented = service.start("zoe", None, "anyone").await;
    let phone = service.start("zoe", None, "anyone").await;
    let other = service.start("yan", None, "owner").await;
    let line = "POST /revoke-sessions";
    let answer = service.tell(line, &presented, &json!({ "scope": "others" })).await;
    assert_eq!(answer.ok(), json!({ "revoked_count": 1 }));
    assert!(service.is_alive(&presented).await && !service.is_alive(&phone).await);
    service.clock.advance(MINUTE);
    assert_eq!(service.ask(line, &presented).await.ok(), json!({ "revoked_count": 1 }));
    assert!(!service.is_alive(&presented).await && service.is_alive(&other).await);
}
