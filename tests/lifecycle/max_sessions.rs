//! `max_sessions`: how many sessions a subject may have.

use std::{error::Error, sync::Arc};

use serde_json::json;
use tokio::task::JoinSet;
use tower_sliding_session::{
    Grant, JwtKeys, Policy, RejectionKind, SlidingSessions, StartError,
    store::{ListQuery, MemoryStore, OnSessionLimit},
};

use crate::{
    client::{asked, assert_active, assert_revoked, details, service_of, session},
    empty_stores::Store,
    test_stack::{MINUTE, TestStack, ok, with},
};

fn limited(store: &Store, max: u32, on_limit: OnSessionLimit) -> TestStack {
    service_of(Policy::long_lived(), store, |it| it.max_sessions(max, on_limit))
}

async fn sign_in(stack: &TestStack) -> Grant {
    stack.clock.advance(MINUTE);
    stack.sessions.start("ada").await.expect("the session starts")
}

pub(crate) async fn whom_a_sign_in_ends_is_told_that_the_session_was_revoked(store: Store) {
    let stack = limited(&store, 2, OnSessionLimit::Oldest);
    let [first, second] = [sign_in(&stack).await, sign_in(&stack).await];
    assert_eq!(asked(&stack, &first).await, None);
    let third = sign_in(&stack).await;
    assert_revoked(&stack, &first).await;
    for grant in [&second, &third] {
        assert_active(&stack, grant).await;
    }
    assert_eq!(details(&stack, "session_ended").await, [json!({ "cause": "session_limit" })]);
}

pub(crate) async fn a_sign_in_ends_the_session_whose_user_was_away_the_longest(store: Store) {
    let stack = limited(&store, 2, OnSessionLimit::LeastActive);
    let [first, second] = [sign_in(&stack).await, sign_in(&stack).await];
    stack.clock.advance(5 * MINUTE);
    assert_eq!(asked(&stack, &first).await, None);
    sign_in(&stack).await;
    assert_revoked(&stack, &second).await;
    assert_active(&stack, &first).await;
}

pub(crate) async fn a_refused_sign_in_says_what_to_do(store: Store) {
    let stack = limited(&store, 1, OnSessionLimit::Refuse);
    let first = sign_in(&stack).await;
    let refused = stack.sessions.start("ada").await.expect_err("refused");
    assert!(matches!(refused, StartError::TooManySessions), "{refused:?}");
    assert!(refused.to_string().contains("end one of them"), "{refused}");
    assert!(refused.source().is_none());
    let first = assert_active(&stack, &first).await;
    stack.sessions.start("bob").await.expect("another subject");
    stack.sessions.revoke(first.session_id()).await.expect("the session is revoked");
    sign_in(&stack).await;
}

pub(crate) async fn p21_a_step_up_under_a_limit_ends_no_other_session(store: Store) {
    let stack = limited(&store, 2, OnSessionLimit::Oldest);
    let [first, second] = [sign_in(&stack).await, sign_in(&stack).await];
    let handler = async |request| {
        let old = session(&request);
        stack.sessions.reauthenticate(&old).await.expect("the session starts");
        ok()
    };
    stack.send_to(handler, with(second.access_token())).await;
    assert_revoked(&stack, &second).await;
    assert_active(&stack, &first).await;
    assert_eq!(details(&stack, "session_ended").await, [json!({ "cause": "replaced" })]);
}

pub(crate) async fn p31_a_thousand_concurrent_sign_ins_leave_three_sessions(store: Store) {
    let stack = limited(&store, 3, OnSessionLimit::Oldest);
    let mut tasks = JoinSet::new();
    for _ in 0..1000 {
        let sessions: SlidingSessions = stack.sessions.clone();
        tasks.spawn(async move { sessions.start("ada").await.expect("the session starts") });
    }
    let grants = tasks.join_all().await;
    let scope = stack.sessions.subject_scope("ada");
    let page = stack.sessions.sessions(scope, ListQuery::first(200)).await;
    let listed: Vec<_> = page.expect("the store answers").items;
    assert_eq!(listed.len(), 3);
    let mut accepted = 0;
    for grant in &grants {
        match asked(&stack, grant).await {
            None => accepted += 1,
            rejected => assert_eq!(rejected, Some(RejectionKind::SessionRevoked)),
        }
    }
    assert_eq!(accepted, 3);
}

#[test]
fn build_refuses_a_limit_that_cannot_hold() {
    let builder = || {
        let keys = JwtKeys::hs256([7; 32]).expect("a secret of at least 32 bytes");
        SlidingSessions::builder(keys, Policy::long_lived())
    };
    let zero = builder().max_sessions(0, OnSessionLimit::Oldest).build().expect_err("refused");
    assert!(zero.to_string().contains("1 or more"), "{zero}");
    let store = Arc::new(MemoryStore::new());
    let uncounted = builder().store(store).max_sessions(1, OnSessionLimit::Refuse).build();
    let uncounted = uncounted.expect_err("refused").to_string();
    assert!(uncounted.contains("`lifecycle_store`"), "{uncounted}");
    for (on_limit, said) in [
        (OnSessionLimit::Oldest, "at most 3; one more ends the oldest"),
        (OnSessionLimit::LeastActive, "at most 3; one more ends the least active"),
        (OnSessionLimit::Refuse, "at most 3; one more is refused"),
    ] {
        let sessions = builder().max_sessions(3, on_limit).build().expect("a legal configuration");
        assert!(sessions.describe().contains(said), "{}", sessions.describe());
    }
}
