//! The absolute deadline, which no refresh moves.

use std::time::Duration;

use tower_sliding_session::{Policy, RejectionKind};

use crate::{
    client::{
        DAY, ada, asked, details, long_tokens, refresh_token, refreshed, refused, service,
        service_of,
    },
    empty_stores::Store,
    test_stack::{BEGIN, MILLI, claims},
};

/// An idle timeout as long as the absolute one.
fn patient() -> Policy {
    Policy::long_lived().to_builder().idle_timeout(14 * DAY).build().expect("a legal configuration")
}

pub(crate) async fn p01_at_the_absolute_deadline_a_refresh_ends_the_session(store: Store) {
    let stack = service_of(patient(), &store, |builder| builder);
    let (one, other) = (ada(&stack).await, ada(&stack).await);
    stack.at(14 * DAY - MILLI);
    let last = refreshed(&stack, &one).await;
    assert_eq!(asked(&stack, &last).await, None);
    stack.at(14 * DAY);
    for grant in [&other, &last] {
        let token = refresh_token(grant);
        assert_eq!(refused(&stack, token).await, RejectionKind::SessionExpiredAbsolute);
        for _ in 0..2 {
            assert_eq!(refused(&stack, token).await, RejectionKind::InvalidRefreshToken);
        }
    }
    assert_eq!(asked(&stack, &last).await, Some(RejectionKind::SessionRevoked), "a tombstone");
    assert!(details(&stack, "refresh_reuse_detected").await.is_empty());
}

pub(crate) async fn p01_no_chain_of_refreshes_passes_the_absolute_deadline(store: Store) {
    let stack = service(&store);
    let mut grant = ada(&stack).await;
    let deadline = BEGIN + 14 * DAY;
    for days in (2..14).step_by(2) {
        stack.at(days * DAY);
        grant = refreshed(&stack, &grant).await;
        let expected = deadline.min(BEGIN + (days + 3) * DAY);
        assert_eq!(claims(refresh_token(&grant))["exp"], deadline.as_secs(), "day {days}");
        assert_eq!(grant.idle_expires_at(), expected, "day {days}");
        assert_eq!(grant.absolute_expires_at(), deadline);
    }
    stack.at(14 * DAY - MILLI);
    grant = refreshed(&stack, &grant).await;
    for token in [grant.access_token(), refresh_token(&grant)] {
        assert_eq!(claims(token)["exp"], deadline.as_secs());
    }
    stack.at(14 * DAY);
    let refused = refused(&stack, refresh_token(&grant)).await;
    assert_eq!(refused, RejectionKind::SessionExpiredAbsolute);
}

/// The claims are whole seconds; the session is not.
pub(crate) async fn p33_a_session_lasts_to_the_millisecond_of_its_absolute_deadline(store: Store) {
    let begun = 900 * MILLI;
    for policy in
        [patient(), patient().to_builder().max_clock_skew(Duration::ZERO).build().expect("legal")]
    {
        let stack = service_of(policy, &store, |builder| builder);
        let (one, other) = (ada(stack.at(begun)).await, ada(&stack).await);
        assert_eq!(claims(one.access_token())["auth_time"], BEGIN.as_secs());
        assert_eq!(asked(&stack, &one).await, None);
        assert_eq!(one.absolute_expires_at(), BEGIN + begun + 14 * DAY);
        stack.at(begun + 14 * DAY - MILLI);
        let last = refreshed(&stack, &one).await;
        assert_eq!(asked(&stack, &last).await, None);
        stack.at(begun + 14 * DAY);
        for grant in [&other, &last] {
            let refused = refused(&stack, refresh_token(grant)).await;
            assert_eq!(refused, RejectionKind::SessionExpiredAbsolute);
        }
    }
}

pub(crate) async fn p33_a_session_lasts_to_the_millisecond_of_its_idle_deadline(store: Store) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    let begun = 900 * MILLI;
    let [one, other] = [ada(stack.at(begun)).await, ada(&stack).await];
    stack.at(begun + 3 * DAY - MILLI);
    refreshed(&stack, &one).await;
    let refused = refused(stack.at(begun + 3 * DAY), refresh_token(&other)).await;
    assert_eq!(refused, RejectionKind::SessionExpiredIdle);
}
