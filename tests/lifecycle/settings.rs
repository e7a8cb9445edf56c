//! Settings that contradict each other.

use std::{sync::Arc, time::Duration};

use tower_sliding_session::{
    JwtKeys, Policy, SlidingSessions,
    rules::OverrideBounds,
    sliding::SlidingSessionsBuilder,
    store::{ListQuery, MemoryStore},
};

use crate::{
    client::DAY,
    stack::{HOUR, MINUTE, SECRET, Stack, patient},
};

fn builder(policy: Policy) -> SlidingSessionsBuilder {
    SlidingSessions::builder(JwtKeys::hs256(SECRET).expect("long enough"), policy)
}

fn sliding() -> Policy {
    Policy::sliding(HOUR, 12 * HOUR).expect("consistent")
}

#[test]
fn a_policy_without_activity_has_no_refresh_tokens_and_says_what_to_do() {
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
fn a_store_for_the_layers_alone_has_no_refresh_tokens_and_says_what_to_do() {
    let error = builder(patient()).store(Arc::new(MemoryStore::new())).refresh_tokens().build();
    let error = error.expect_err("refused").to_string();
    assert!(error.contains("`lifecycle_store`"), "{error}");
}

#[test]
fn bounds_of_overrides_go_upwards() {
    let bounds = OverrideBounds { idle: HOUR..=MINUTE, absolute: Duration::ZERO..=DAY };
    let error = builder(patient()).override_bounds(bounds).build().expect_err("refused");
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[tokio::test]
async fn a_store_for_the_layers_alone_starts_and_ends_sessions_and_lists_none() {
    let stack = Stack::with(patient(), |builder| builder.store(Arc::new(MemoryStore::new())));
    let grant = stack.sessions.start("ada").await.expect("started");
    assert_eq!(grant.refresh_token(), None);
    let listed = stack.sessions.sessions(stack.sessions.everything(), ListQuery::first(9)).await;
    assert!(listed.is_err());
    stack.sessions.end(grant.session_id()).await.expect("ended");
    let response = stack.get(grant.access_token()).await;
    assert_eq!(response.status().as_u16(), 401);
}
