//! Refresh tokens that are presented more than once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Barrier, task::JoinSet};
use tower_sliding_session::{Grant, Policy, RejectionKind};

use crate::{
    client::{
        ada, asked, assert_active, assert_revoked, details, record, refresh_token, refreshed,
        refused, service, service_of, tokens,
    },
    empty_stores::Store,
    test_stack::{MILLI, MINUTE, TestStack},
};

/// The default of `reuse_grace`.
const GRACE: Duration = Duration::from_secs(10);
/// The default clock skew, which is granted beside it.
const SKEW: Duration = Duration::from_secs(5);
const AT_ONCE: usize = 50;
const INVALID: RejectionKind = RejectionKind::InvalidRefreshToken;
const REUSED: RejectionKind = RejectionKind::RefreshTokenReused;

/// Exchanges the refresh token of `grant` many times concurrently.
async fn stampede(stack: &Arc<TestStack>, grant: &Grant) -> Vec<Result<Grant, RejectionKind>> {
    let start = Arc::new(Barrier::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (stack, start) = (Arc::clone(stack), Arc::clone(&start));
        let token = refresh_token(grant).to_owned();
        tasks.spawn(async move {
            start.wait().await;
            stack.sessions.refresh(&token).await.map_err(|rejection| rejection.kind())
        });
    }
    tasks.join_all().await
}

pub(crate) async fn p06_p07_parallel_refreshes_within_reuse_grace_are_one_rotation(store: Store) {
    let stack = Arc::new(service(&store));
    let grant = ada(&stack).await;
    let answers = stampede(&stack, &grant).await;
    let first = answers[0].clone().expect("the token is refreshed");
    assert!(answers.iter().all(|answer| answer.as_ref() == Ok(&first)));
    assert_ne!(first.access_token(), grant.access_token());
    assert_eq!(asked(&stack, &first).await, None);
    assert_eq!(details(&stack, "session_renewed").await.len(), 1);
    let next = refreshed(&stack, &first).await;
    assert_active(&stack, &next).await;
}

pub(crate) async fn a_replay_at_the_end_of_reuse_grace_revokes_the_session(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let other = ada(&stack).await;
    let newest = refreshed(stack.at(MINUTE), &grant).await;
    assert_eq!(asked(&stack, &newest).await, None);
    stack.at(MINUTE + GRACE + SKEW - MILLI);
    assert_eq!(refreshed(&stack, &grant).await.refresh_token(), newest.refresh_token());
    assert_eq!(asked(&stack, &newest).await, None);
    stack.at(MINUTE + GRACE + SKEW);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, REUSED);
    assert_revoked(&stack, &newest).await;
    assert_revoked(&stack, &grant).await;
    assert_eq!(record(&stack, &newest).await, None);
    assert_eq!(details(&stack, "refresh_reuse_detected").await.len(), 1);
    assert_active(&stack, &other).await;
}

pub(crate) async fn a_replay_after_the_successor_was_used_revokes_the_session(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let second = refreshed(&stack, &grant).await;
    let third = refreshed(&stack, &second).await;
    assert_eq!(refused(&stack, refresh_token(&grant)).await, REUSED);
    assert_revoked(&stack, &third).await;
    assert_eq!(details(&stack, "refresh_reuse_detected").await.len(), 1);
}

pub(crate) async fn a_replay_within_reuse_grace_returns_the_first_answer(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let first = refreshed(&stack, &grant).await;
    stack.at(GRACE - MILLI);
    assert_eq!(tokens(&refreshed(&stack, &grant).await), tokens(&first));
    assert_eq!(details(&stack, "session_renewed").await.len(), 1);
}

pub(crate) async fn p07_without_reuse_grace_one_refresh_succeeds_and_the_others_revoke_nothing(
    store: Store,
) {
    let none = |builder: tower_sliding_session::sessions::SlidingSessionsBuilder| {
        builder.reuse_grace(Duration::ZERO)
    };
    let stack = Arc::new(service_of(Policy::long_lived(), &store, none));
    let grant = ada(&stack).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        stampede(&stack, &grant).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|answer| *answer == Err(INVALID)));
    let winner = won[0].clone().expect("one refresh succeeds");
    let next = assert_active(&stack, &winner).await;
    stack.at(MINUTE);
    for token in [refresh_token(&grant), refresh_token(&winner)] {
        assert_eq!(refused(&stack, token).await, INVALID);
    }
    assert_active(&stack, &next).await;
    assert!(details(&stack, "refresh_reuse_detected").await.is_empty());
}

pub(crate) async fn p33_a_lost_answer_is_repeated_until_a_successor_is_presented(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let lost = refreshed(stack.at(MINUTE), &grant).await;
    // The client goes on with its old access token, and tries again when that expires.
    assert_eq!(asked(stack.at(10 * MINUTE), &grant).await, None);
    let found = refreshed(stack.at(20 * MINUTE), &grant).await;
    for token in [Grant::access_token, refresh_token as fn(&Grant) -> &str] {
        assert_eq!(token(&found), token(&lost));
    }
    let next = refreshed(&stack, &found).await;
    assert_eq!(asked(&stack, &next).await, None);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, REUSED);
    assert_revoked(&stack, &next).await;
}

pub(crate) async fn p33_two_nodes_whose_clocks_differ_share_the_reuse_grace(store: Store) {
    let policy = || {
        let policy = Policy::long_lived().to_builder().max_clock_skew(MINUTE);
        policy.build().expect("a legal configuration")
    };
    let [behind, ahead] = [(); 2].map(|()| service_of(policy(), &store, |builder| builder));
    let grant = ada(&behind).await;
    let next = refreshed(behind.at(MINUTE), &grant).await;
    assert_eq!(asked(ahead.at(MINUTE + 15_000 * MILLI), &next).await, None);
    assert_eq!(refreshed(&ahead, &grant).await.refresh_token(), next.refresh_token());
    assert_active(&ahead, &next).await;
}
