//! P35: the owner of an account of another issuer, which has the name of one of ours.

use serde_json::json;
use tower_sliding_session::{Grant, JwtKeys, Policy, SlidingSessions};

use super::service::{Service, problem};

const IDLE: &str = "idle_timeout_minutes";

/// An owner of `acme` whose token another issuer has signed with the shared key.
async fn owner_of_other_acme(service: &Service) -> Grant {
    let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
    let other = SlidingSessions::builder(keys, Policy::long_lived()).issuer("https://idp.example");
    let other = other.clock(service.clock.clone()).build().expect("a legal configuration");
    let start = other.start("eve").tenant("acme").claims(&json!({ "role": "owner" }));
    start.await.expect("a session")
}

#[tokio::test]
async fn p35_the_owner_of_a_same_named_account_of_another_issuer_sees_and_changes_nothing() {
    let service = Service::new();
    let ada = service.owner("ada", "acme").await;
    let before = service.call("GET /security", &ada).await.ok();
    let eve = owner_of_other_acme(&service).await;
    assert!(service.is_accepted(&eve).await, "without `issuer` every `iss` is accepted");
    let forbidden = problem(403, "forbidden");
    let change = json!({ IDLE: 5 });
    for answer in [
        service.call("GET /security", &eve).await,
        service.send_json("PATCH /security", &eve, &change).await,
        service.call("GET /sessions?scope=account", &eve).await,
        service.call("GET /activity?scope=account", &eve).await,
        service.send_json("POST /revoke-sessions", &eve, &json!({ "scope": "all" })).await,
        service.send_json("POST /revoke-sessions", &eve, &json!({ "scope": "others" })).await,
    ] {
        assert_eq!(answer.problem(), forbidden, "{}", answer.body);
    }
    let foreign = service.call(&format!("DELETE /sessions/{}", ada.session_id()), &eve).await;
    assert_eq!(foreign.problem(), problem(404, "session_not_found"));
    assert!(service.is_accepted(&ada).await);
    let after = service.call("GET /security", &ada).await.ok();
    assert_eq!(after[IDLE], before[IDLE]);
    // The caller's own sessions stay the caller's.
    let own = service.send_json("POST /revoke-sessions", &eve, &json!({ "scope": "mine" })).await;
    own.ok();
    assert!(!service.is_accepted(&eve).await && service.is_accepted(&ada).await);
}
