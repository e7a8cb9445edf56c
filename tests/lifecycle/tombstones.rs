//! Users who sign in and out many times over a small store.

use std::{sync::Arc, time::Duration};

use tower_sliding_session::{Grant, Policy, RejectionKind, store::MemoryStore};

use crate::{
    client::{
        DAY, asked, assert_active, assert_revoked, refresh_token, refused, service_of, sign_in,
        signs_out,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, rejected, signed},
};

/// 20 minutes, 12 hours.
fn policy() -> Policy {
    Policy::builder().build().expect("a legal configuration")
}

fn small(capacity: usize) -> TestStack {
    let store: Store = Arc::new(MemoryStore::with_capacity(capacity));
    service_of(policy(), &store, |builder| builder)
}

/// A user who is active every five minutes for two hours, with the newest token.
async fn is_active_for_two_hours(stack: &TestStack, grant: Grant, at: Duration) {
    let mut grant = grant;
    for minutes in (0..120).step_by(5) {
        stack.at(at + minutes * MINUTE);
        assert_eq!(asked(stack, &grant).await, None, "after {minutes} minutes");
        if minutes % 30 == 0 {
            let next = stack.sessions.refresh(refresh_token(&grant)).await;
            grant = next.expect("the token is refreshed");
        }
    }
}

#[tokio::test]
async fn p31_one_user_who_signs_in_and_out_stops_nobody_elses_sign_out() {
    let stack = small(1_000);
    let before = sign_in(&stack, "eve", "acme").await;
    let mut ended = Vec::new();
    for _ in 0..1_000 {
        let grant = sign_in(&stack, "ada", "acme").await;
        signs_out(&stack, &grant).await;
        ended.push(grant);
    }
    let tablet = sign_in(&stack, "ada", "acme").await;
    for grant in ended.iter().step_by(50) {
        assert_revoked(&stack, grant).await;
    }
    assert_active(&stack, &before).await;
    let bob = sign_in(&stack, "bob", "acme").await;
    signs_out(&stack, &bob).await;
    assert_revoked(&stack, &bob).await;
    assert_revoked(stack.at(HOUR), &ended[0]).await;
    assert_eq!(asked(stack.at(10 * MINUTE), &tablet).await, None);
}

#[tokio::test]
async fn p32_tombstones_end_with_their_sessions() {
    let stack = small(1_000);
    // Many users, so that nothing is folded and the table is full.
    for id in 0..1_000 {
        let grant = sign_in(&stack, &(id / 60).to_string(), "acme").await;
        signs_out(&stack, &grant).await;
    }
    let full = sign_in(&stack, "bob", "acme").await;
    let ended = stack.sessions.revoke(full.session_id()).await;
    assert_eq!(ended.expect_err("full").kind(), RejectionKind::StoreUnavailable);
    assert_active(&stack, &full).await;
    // The session's own end, and the clock skew; not the longest that any account may set.
    let end = 12 * HOUR + policy().max_clock_skew();
    let late = sign_in(stack.at(end - MILLI), "bob", "acme").await;
    let ended = stack.sessions.revoke(late.session_id()).await;
    assert_eq!(ended.expect_err("full").kind(), RejectionKind::StoreUnavailable);
    stack.at(end);
    stack.sessions.revoke(late.session_id()).await.expect("there is room");
    assert_revoked(&stack, &late).await;
    // 60 days later everybody's sign-out works, and an active user stays signed in.
    stack.at(60 * DAY);
    for id in 0..200 {
        let grant = sign_in(&stack, &format!("user {id}"), "acme").await;
        signs_out(&stack, &grant).await;
        assert_revoked(&stack, &grant).await;
    }
    let active = sign_in(&stack, "eve", "acme").await;
    is_active_for_two_hours(&stack, active, 60 * DAY).await;
}

#[tokio::test]
async fn p32_a_session_ended_by_its_id_or_by_reuse_takes_room_until_its_own_end() {
    let stack = small(64);
    let end = 12 * HOUR + policy().max_clock_skew();
    for id in 0..32 {
        let grant = sign_in(&stack, &format!("a{id}"), "acme").await;
        stack.sessions.revoke(grant.session_id()).await.expect("there is room");
        let reused = sign_in(&stack, &format!("b{id}"), "acme").await;
        let mut next = reused.clone();
        for _ in 0..2 {
            next = stack.sessions.refresh(refresh_token(&next)).await.expect("refreshed");
        }
        assert_eq!(asked(&stack, &next).await, None);
        let kind = refused(&stack, refresh_token(&reused)).await;
        assert_eq!(kind, RejectionKind::RefreshTokenReused);
    }
    stack.at(end - MILLI);
    let bob = sign_in(&stack, "bob", "acme").await;
    assert!(stack.sessions.revoke(bob.session_id()).await.is_err(), "the store is full");
    stack.at(end);
    stack.sessions.revoke(bob.session_id()).await.expect("there is room");
}

/// Over every store: more sign-outs than it keeps tombstones of one user.
pub(crate) async fn p31_a_user_who_signs_out_often_stays_signed_in_elsewhere(store: Store) {
    let stack = service_of(policy(), &store, |builder| builder);
    let phone = sign_in(&stack, "ada", "acme").await;
    let mut ended = Vec::new();
    for id in 0..80 {
        stack.at(id * MILLI);
        let grant = sign_in(&stack, "ada", "acme").await;
        signs_out(&stack, &grant).await;
        ended.push(grant);
    }
    let tablet = sign_in(&stack, "ada", "acme").await;
    let stepped_up = stack.at(MINUTE).sessions.start("ada").tenant("acme").await;
    let stepped_up = stepped_up.expect("the session starts");
    for _ in 0..2 {
        for grant in &ended {
            assert_revoked(&stack, grant).await;
        }
        for grant in [&phone, &tablet, &stepped_up] {
            assert_eq!(asked(&stack, grant).await, None);
        }
        // Everybody signs out again with the old tokens.
        for grant in &ended {
            stack.sessions.revoke(grant.session_id()).await.expect("it has ended");
        }
    }
    let after = service_of(policy(), &store, |builder| builder);
    after.at(2 * MINUTE);
    for grant in &ended {
        assert_revoked(&after, grant).await;
    }
    for grant in [&phone, &tablet, &stepped_up] {
        assert_active(&after, grant).await;
    }
}

/// A token without `epoch`, such as one that another system has minted: no store began its session.
pub(crate) async fn p33_a_session_without_epoch_is_not_folded(store: Store) {
    let stack = service_of(policy(), &store, |builder| builder);
    let mut ended = Vec::new();
    for secs in 0..80 {
        stack.at(Duration::from_secs(secs));
        let grant = sign_in(&stack, "ada", "acme").await;
        signs_out(&stack, &grant).await;
        ended.push(grant);
    }
    let at = (BEGIN + Duration::from_secs(10)).as_secs();
    let old = signed(&format!(
        r#"{{"sub":"ada","tenant":"acme","sid":"old","auth_time":{at},"iat":{at},"exp":{}}}"#,
        at + 3_600
    ));
    for _ in 0..2 {
        assert_eq!(rejected(&stack.get(&old).await), None);
        assert_revoked(&stack, &ended[15]).await;
    }
    stack.sessions.revoke("old").await.expect("the session ends");
    assert_eq!(rejected(&stack.get(&old).await), Some(RejectionKind::SessionRevoked));
}
