//! Settings that contradict each other, and their defaults.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::Request;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    Clock, JwtKeys, ManualClock, PathRules, Policy, Profiles, RejectionKind, SlidingSessions,
    layers::{ActivityLayer, AuthenticateLayer},
    policy::{OverrideBounds, TimeoutOverrides},
    sessions::SlidingSessionsBuilder,
    store::{ListQuery, MemoryStore},
    token::TokenVerifier,
};

use crate::{
    client::DAY,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, ok, patient, rejected, with},
};

fn builder(policy: Policy) -> SlidingSessionsBuilder {
    SlidingSessions::builder(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"), policy)
}

fn sliding() -> Policy {
    Policy::sliding(HOUR, 12 * HOUR).expect("a legal configuration")
}

#[test]
fn build_refuses_refresh_tokens_for_a_sliding_policy() {
    for refreshing in [
        builder(sliding()).refresh_tokens(),
        builder(sliding()).reuse_grace(Duration::ZERO),
        builder(patient()).profile("guest", sliding()).refresh_tokens(),
    ] {
        let error = refreshing.build().expect_err("refused");
        let [problem] = error.problems() else { panic!("one problem: {error}") };
        for said in ["refresh_tokens", "`Policy::sliding`", "give it an idle timeout", "leave"] {
            assert!(problem.contains(said), "{problem}");
        }
        assert_eq!(error.to_string(), *problem);
    }
    assert!(builder(sliding()).build().is_ok());
}

#[test]
fn build_refuses_refresh_tokens_without_a_lifecycle_store() {
    let error = builder(patient()).store(Arc::new(MemoryStore::new())).refresh_tokens().build();
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("`lifecycle_store`"), "{error}");
}

#[test]
fn bounds_of_overrides_have_min_below_max() {
    let bounds = OverrideBounds::new().idle(HOUR..=MINUTE).absolute(Duration::ZERO..=DAY);
    let error = builder(patient()).override_bounds(bounds).build().expect_err("refused");
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[tokio::test]
async fn a_session_store_can_start_and_revoke_sessions_but_lists_none() {
    let stack = TestStack::with(patient(), |builder| builder.store(Arc::new(MemoryStore::new())));
    let grant = stack.sessions.start("ada").await.expect("the session starts");
    assert_eq!(grant.refresh_token(), None);
    let listed = stack.sessions.sessions(stack.sessions.everything(), ListQuery::first(9)).await;
    assert!(listed.is_err());
    stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    let response = stack.get(grant.access_token()).await;
    assert_eq!(response.status().as_u16(), 401);
}

#[tokio::test]
async fn the_routes_stay_public_after_later_path_rules() {
    let rules = || PathRules::new().public("/login");
    for stack in [
        TestStack::with(patient(), |it| {
            it.refresh_tokens().router_at("/auth/").path_rules(rules())
        }),
        TestStack::with(patient(), |it| it.path_rules(rules()).router_at("/auth")),
    ] {
        for path in ["/auth/refresh", "/auth/config", "/login"] {
            let request = Request::get(path).body(()).expect("a request");
            assert_eq!(rejected(&stack.send(request).await), None, "{path}");
        }
    }
}

#[test]
fn a_reuse_grace_over_five_minutes_is_refused() {
    let grace = |secs| builder(patient()).reuse_grace(Duration::from_secs(secs)).build();
    assert!(grace(300).is_ok());
    assert!(grace(301).expect_err("refused").to_string().contains("reuse_grace"));
}

#[tokio::test]
async fn p15_invalid_tokens_write_no_log_row() {
    let store = Arc::new(MemoryStore::new());
    let stack = TestStack::with(patient(), |builder| builder.lifecycle_store(store));
    stack.sessions.start("ada").tenant("acme").await.expect("the session starts");
    for _ in 0..100 {
        stack.get("x").await;
    }
    let scope = stack.sessions.everything();
    let rows = stack
        .sessions
        .audit_log(scope, ListQuery::first(100))
        .await
        .expect("the store answers")
        .items;
    assert_eq!(rows.len(), 1, "the sign-in");
}

#[tokio::test]
async fn p20_overrides_apply_in_a_custom_stack() {
    let (clock, store) = (ManualClock::new(BEGIN), Arc::new(MemoryStore::new()));
    let long = Policy::long_lived()
        .to_builder()
        .token_lifetime(3 * DAY)
        .build()
        .expect("a legal configuration");
    let sessions = builder(long.clone()).clock(clock.clone()).lifecycle_store(store.clone());
    let sessions = sessions.build().expect("a legal configuration");
    let grant = sessions.start("ada").tenant("acme").await.expect("the session starts");
    let hour = TimeoutOverrides::new().idle(HOUR).absolute(HOUR);
    sessions.change_account_policy("acme", |_| hour).await.expect("within the bounds");
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes"));
    let profiles = Arc::new(Profiles::new(long));
    let clocked: Arc<dyn Clock> = Arc::new(clock.clone());
    let mut service = ServiceBuilder::new()
        .layer(
            AuthenticateLayer::new(TokenVerifier::new(keys), Arc::clone(&profiles))
                .clock(Arc::clone(&clocked)),
        )
        .layer(ActivityLayer::new(profiles, store).clock(clocked))
        .service(service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok())));
    let expired = Some(RejectionKind::SessionExpiredAbsolute);
    for (now, expected) in [(HOUR / 2, None), (HOUR - MILLI, None), (HOUR, expired)] {
        clock.set(BEGIN + now);
        let ready = service.ready().await.expect("always ready");
        let response = ready.call(with(grant.access_token())).await.expect("infallible");
        assert_eq!(rejected(&response), expected, "{now:?}");
    }
}
