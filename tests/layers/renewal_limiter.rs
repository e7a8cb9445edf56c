//! The renewal limiter: one mint per session, and per user, per min interval.

use std::{future::pending, time::Duration};

use tower_sliding_session::{
    MaybeReady, Timestamp,
    store::{MemoryLimiter, RenewalDecision, RenewalLimiter, RenewalRequest, StoreError},
};

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

/// The instants, in milliseconds after sign-in, at which one request a millisecond of `token` would
/// be answered with a successor.
async fn renewals(stack: &TestStack, token: &str, from: u64, until: u64, step: usize) -> Vec<u64> {
    let mut renewals = Vec::new();
    for at in (from..until).step_by(step) {
        if renewed(&stack.at(Duration::from_millis(at)).get(token).await).is_some() {
            renewals.push(at);
        }
    }
    renewals
}

#[tokio::test]
async fn p33_a_renewal_whose_answer_is_lost_is_repeated_until_the_token_expires() {
    // Each answer is lost: the client goes on with its first token.
    let policy = patient().to_builder().token_lifetime(2 * MINUTE).build();
    let stack = TestStack::new(policy.expect("a legal configuration"));
    let token = stack.sign_in().await;
    let renewals = renewals(&stack, &token, 60_001, 120_000, 1).await;
    // What is left is 59,999 ms; half of it later another renewal is granted, and so on.
    assert_eq!(renewals[..4], [60_001, 90_000, 105_000, 112_500]);
    assert!(renewals.len() > 10);
}

#[tokio::test]
async fn p33_single_flight_holds_for_half_of_what_is_left_at_most() {
    for (left, closed) in [
        (HALF - MILLI, MINUTE),
        (2 * MINUTE, MINUTE),
        (2 * MINUTE - 2 * MILLI, MINUTE - MILLI),
        (MINUTE, MINUTE / 2),
        (MINUTE / 30, MINUTE / 60),
    ] {
        for (wait, expected) in [(closed - MILLI, false), (closed, true)] {
            let stack = TestStack::new(patient());
            let token = stack.sign_in().await;
            assert!(renewed(&stack.at(HOUR - left).get(&token).await).is_some(), "{left:?}");
            let again = stack.at(HOUR - left + wait).get(&token).await;
            assert_eq!(renewed(&again).is_some(), expected, "{left:?} left, {wait:?} later");
        }
    }
}

#[tokio::test]
async fn p31_a_limiter_that_one_user_has_filled_withholds_no_renewal() {
    let limiter = MemoryLimiter::with_capacity(2);
    let stack = TestStack::with(patient(), |builder| builder.renewal_limiter(limiter));
    let (eve, ada) = (stack.sign_in_as("eve").await, stack.sign_in().await);
    stack.at(HALF + MILLI);
    for (token, expected) in [(&eve, true), (&ada, true), (&ada, false)] {
        assert_eq!(renewed(&stack.get(token).await).is_some(), expected);
    }
}

/// A limiter that never decides.
struct Undecided(fn() -> MaybeReady<RenewalDecision>);

impl RenewalLimiter for Undecided {
    fn acquire(&self, _: RenewalRequest) -> MaybeReady<RenewalDecision> {
        self.0()
    }

    fn release(&self, _: RenewalRequest, _: Timestamp) -> MaybeReady<()> {
        MaybeReady::new(pending())
    }
}

#[tokio::test]
async fn p16_while_the_limiter_is_full_or_fails_the_node_limits_each_session_by_itself() {
    let full = || MaybeReady::ready(Ok(RenewalDecision::Full));
    let failed = || MaybeReady::ready(Err(StoreError::new("the limiter is away")));
    for decide in [full as fn() -> _, failed] {
        let limiter = Undecided(decide);
        let stack = TestStack::with(patient(), |builder| builder.renewal_limiter(limiter));
        let (token, other) = (stack.sign_in().await, stack.sign_in().await);
        for half_minutes in 0..60 {
            stack.at(HALF + MILLI + half_minutes * MINUTE / 2);
            // In the last minute a renewal blocks others for less than half a minute.
            let expected = half_minutes % 2 == 0 || half_minutes == 59;
            for token in [&token, &other] {
                let response = stack.get(token).await;
                assert_eq!(renewed(&response).is_some(), expected, "{half_minutes}");
            }
        }
    }
}

#[tokio::test]
async fn p16_a_slow_limiter_delays_a_renewal_by_its_time_limit() {
    let limiter = Undecided(|| MaybeReady::new(pending()));
    let stack = TestStack::with(patient(), |builder| builder.renewal_limiter(limiter));
    let token = stack.sign_in().await;
    stack.at(HALF + MILLI);
    let response = std::pin::pin!(stack.get(&token));
    let clock = stack.clock.clone();
    let (response, ()) = tokio::join!(response, async move {
        tokio::task::yield_now().await;
        clock.advance(Duration::from_millis(250));
    });
    assert!(renewed(&response).is_some());
}
