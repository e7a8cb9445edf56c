//! Policies that change while sessions are active.

use std::time::Duration;

use tower_sliding_session::{
    Grant, RejectionKind,
    identity::SessionKeys,
    policy::TimeoutOverrides,
    store::{ListQuery, StoredSession},
};

use crate::{
    client::{
        DAY, ada, asked, long_tokens, record, refresh_token, refreshed, refused, service,
        service_of, sign_in,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, claims},
};

const IDLE: RejectionKind = RejectionKind::SessionExpiredIdle;
const ABSOLUTE: RejectionKind = RejectionKind::SessionExpiredAbsolute;

async fn decide(stack: &TestStack, idle: Duration, absolute: Duration) {
    let overrides = TimeoutOverrides::new().idle(idle).absolute(absolute);
    let changed = stack.sessions.change_account_policy("acme", |_| overrides).await;
    assert_eq!(changed.expect("within the bounds").overrides, overrides);
}

pub(crate) async fn p20_a_shortened_policy_reaches_live_sessions_at_their_next_request(
    store: Store,
) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    let (idle, active) = (ada(&stack).await, ada(&stack).await);
    let elsewhere = sign_in(&stack, "ada", "globex").await;
    decide(stack.at(10 * MINUTE), HOUR, 4 * HOUR).await;
    assert_eq!(asked(stack.at(HOUR - MILLI), &active).await, None);
    assert_eq!(asked(stack.at(HOUR), &idle).await, Some(IDLE));
    for half_hours in 3..8 {
        assert_eq!(asked(stack.at(half_hours * HOUR / 2), &active).await, None);
    }
    assert_eq!(asked(stack.at(4 * HOUR - MILLI), &active).await, None);
    assert_eq!(asked(stack.at(4 * HOUR), &active).await, Some(ABSOLUTE));
    assert_eq!(asked(&stack, &elsewhere).await, None);
}

pub(crate) async fn p20_a_shortened_policy_reaches_live_sessions_at_their_next_refresh(
    store: Store,
) {
    let stack = service(&store);
    let (idle, active) = (ada(&stack).await, ada(&stack).await);
    decide(stack.at(10 * MINUTE), HOUR, 4 * HOUR).await;
    let mut newest = refreshed(stack.at(HOUR - MILLI), &active).await;
    assert_eq!(newest.idle_expires_at(), BEGIN + 2 * HOUR - MILLI * 1000);
    assert_eq!(newest.absolute_expires_at(), BEGIN + 4 * HOUR);
    assert_eq!(refused(stack.at(HOUR), refresh_token(&idle)).await, IDLE);
    for half_hours in 3..8 {
        newest = refreshed(stack.at(half_hours * HOUR / 2), &newest).await;
    }
    assert_eq!(claims(refresh_token(&newest))["exp"], (BEGIN + 4 * HOUR).as_secs());
    assert_eq!(refused(stack.at(4 * HOUR), refresh_token(&newest)).await, ABSOLUTE);
}

pub(crate) async fn p20_a_shortened_policy_reaches_the_lists(store: Store) {
    let stack = service(&store);
    let (idle, active) = (ada(&stack).await, ada(&stack).await);
    decide(stack.at(10 * MINUTE), HOUR, 4 * HOUR).await;
    let active = refreshed(stack.at(30 * MINUTE), &active).await;
    let scope = stack.sessions.account_scope("acme");
    for (now, expected) in
        [(HOUR - MILLI, 2), (HOUR, 1), (90 * MINUTE - MILLI, 1), (90 * MINUTE, 0)]
    {
        stack.at(now);
        let page = stack.sessions.sessions(scope, ListQuery::first(9)).await;
        assert_eq!(page.expect("the store answers").items.len(), expected, "{now:?}");
        assert_eq!(record(&stack, &idle).await.is_some(), expected > 1, "{now:?}");
        assert_eq!(record(&stack, &active).await.is_some(), expected > 0, "{now:?}");
    }
}

pub(crate) async fn p20_a_lengthened_policy_revives_and_lengthens_no_session(store: Store) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    decide(&stack, HOUR, 4 * HOUR).await;
    let (idle, mut active) = (ada(&stack).await, ada(&stack).await);
    active = refreshed(stack.at(30 * MINUTE), &active).await;
    assert_eq!(asked(stack.at(HOUR), &idle).await, Some(IDLE));
    decide(stack.at(HOUR), 2 * DAY, 10 * DAY).await;
    assert_eq!(asked(&stack, &idle).await, Some(IDLE));
    assert_eq!(refused(&stack, refresh_token(&idle)).await, IDLE);
    for half_hours in 2..8 {
        active = refreshed(stack.at(half_hours * HOUR / 2), &active).await;
        assert_eq!(active.absolute_expires_at(), BEGIN + 4 * HOUR);
        let access = claims(active.access_token());
        assert_eq!((&access["idle_max"], &access["abs_max"]), (&3600.into(), &14400.into()));
    }
    stack.at(4 * HOUR);
    assert_eq!(refused(&stack, refresh_token(&active)).await, ABSOLUTE);
    assert_eq!(asked(&stack, &active).await, Some(RejectionKind::SessionRevoked), "a tombstone");
    let longer = ada(&stack).await;
    assert_eq!(longer.idle_expires_at(), BEGIN + 4 * HOUR + 2 * DAY);
}

/// Waits at most one minute until the store has the tombstone of an expired session: a database
/// writes it after the rejection.
async fn wait_for_tombstone(stack: &TestStack, store: &Store, grant: &Grant) {
    let user = stack.sessions.user_scope(Some("acme"), "ada").key();
    let keys = SessionKeys::new(stack.sessions.session_key(grant.session_id()), user);
    let written = async {
        while store.get(keys).await.expect("the store answers") != StoredSession::Ended {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), written)
        .await
        .expect("the tombstone is written within a minute");
}

pub(crate) async fn p20_a_session_expired_by_a_shortened_policy_stays_expired(store: Store) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    let [by_request, by_refresh, unseen] =
        [ada(&stack).await, ada(&stack).await, ada(&stack).await];
    decide(&stack, HOUR, 4 * HOUR).await;
    assert_eq!(asked(stack.at(HOUR), &by_request).await, Some(IDLE));
    assert_eq!(refused(&stack, refresh_token(&by_refresh)).await, IDLE);
    for expired in [&by_request, &by_refresh] {
        wait_for_tombstone(&stack, &store, expired).await;
    }
    let cleared =
        stack.sessions.change_account_policy("acme", |_| TimeoutOverrides::default()).await;
    cleared.expect("within the bounds");
    for expired in [&by_request, &by_refresh] {
        assert_eq!(asked(&stack, expired).await, Some(RejectionKind::SessionRevoked));
        let refused = refused(&stack, refresh_token(expired)).await;
        assert_eq!(refused, RejectionKind::InvalidRefreshToken);
    }
    assert_eq!(asked(&stack, &unseen).await, None, "no request has found it expired");
}
