//! The renewal limiter: one mint per session, and per user, per min interval.

use std::time::Duration;

use tower_sliding_session::Timestamp;

use crate::test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, patient, renewed, signed};

const HALF: Duration = Duration::from_secs(1800);

#[tokio::test]
async fn p06_a_session_is_renewed_again_once_the_interval_has_passed() {
    for (wait, expected) in [(MINUTE - MILLI, false), (MINUTE, true)] {
        let stack = TestStack::new(patient());
        let token = stack.sign_in().await;
        assert!(renewed(&stack.at(HALF + MILLI).get(&token).await).is_some());
        let again = stack.at(HALF + MILLI + wait).get(&token).await;
        assert_eq!(renewed(&again).is_some(), expected, "{wait:?}");
    }
}

#[tokio::test]
async fn a_min_interval_of_zero_switches_both_limits_off() {
    let policy = patient().to_builder().renew_min_interval(Duration::ZERO).build();
    let stack = TestStack::new(policy.expect("a legal configuration"));
    let token = stack.sign_in().await;
    stack.at(HALF + MILLI);
    for _ in 0..3 {
        assert!(renewed(&stack.get(&token).await).is_some());
    }
}

#[tokio::test]
async fn p28_a_second_device_waits_unless_its_token_would_expire_first() {
    for (left, expected) in [(MINUTE + MILLI, false), (MINUTE, true), (MINUTE - MILLI, true)] {
        let stack = TestStack::new(patient());
        let (phone, laptop) = (stack.sign_in().await, stack.sign_in().await);
        stack.at(HOUR - left);
        assert!(renewed(&stack.get(&phone).await).is_some(), "{left:?}");
        assert_eq!(renewed(&stack.get(&laptop).await).is_some(), expected, "{left:?} left");
    }
}

fn token(user: &str, tenant: &str, sid: &str) -> String {
    let now = Timestamp::as_secs(BEGIN);
    signed(&format!(
        r#"{{"sub":"{user}","tenant":"{tenant}","sid":"{sid}","auth_time":{now},"iat":{now},"exp":{}}}"#,
        now + 3600
    ))
}

#[tokio::test]
async fn p14_users_are_distinguished_by_account_and_subject() {
    let stack = TestStack::new(patient());
    stack.at(HALF + MILLI);
    for (user, tenant, sid, expected) in [
        ("ab", "c", "1", true),
        ("a", "bc", "2", true),
        ("bc", "a", "3", true),
        ("ab", "c", "4", false),
    ] {
        let response = stack.get(&token(user, tenant, sid)).await;
        assert_eq!(renewed(&response).is_some(), expected, "{user} of {tenant}");
    }
}

#[tokio::test]
async fn p16_a_denied_renewal_does_not_change_the_response() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    stack.at(HALF + MILLI);
    assert!(renewed(&stack.get(&token).await).is_some());
    let denied = stack.get(&token).await;
    assert_eq!((denied.status().as_u16(), renewed(&denied)), (200, None));
}
