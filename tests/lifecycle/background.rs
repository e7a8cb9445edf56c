//! Background refreshes, which are not activity.

use tower_sliding_session::{Grant, Policy, RejectionKind};

use crate::{
    client::{
        DAY, ada, asked, assert_active, long_tokens, record, refresh_token, refreshed, refused,
        service, service_of, tokens,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, claims},
};

const IDLE: RejectionKind = RejectionKind::SessionExpiredIdle;

async fn in_background(stack: &TestStack, grant: &Grant) -> Grant {
    stack.sessions.refresh(refresh_token(grant)).background().await.expect("the token is refreshed")
}

pub(crate) async fn p17_a_background_refresh_is_not_activity(store: Store) {
    let stack = service(&store);
    let first = ada(&stack).await;
    let mut grant = first.clone();
    for hours in [1, 2, 3] {
        stack.at(hours * HOUR);
        let next = in_background(&stack, &grant).await;
        let [access, refresh] = [next.access_token(), refresh_token(&next)].map(claims);
        assert_ne!(next.access_token(), grant.access_token());
        assert_eq!(access["iat"], (BEGIN + hours * HOUR).as_secs());
        assert_eq!(access["exp"], (BEGIN + hours * HOUR + 15 * MINUTE).as_secs());
        assert_eq!(refresh["exp"], claims(refresh_token(&first))["exp"]);
        for token in [access, refresh] {
            assert_eq!(token["seen"], BEGIN.as_secs());
        }
        assert_eq!(next.idle_expires_at(), first.idle_expires_at());
        assert_eq!(record(&stack, &next).await.expect("the session is active").last_seen, BEGIN);
        assert_eq!(asked_in_background(&stack, &next).await, None);
        grant = next;
    }
    grant = in_background(stack.at(3 * DAY - MILLI), &grant).await;
    stack.at(3 * DAY);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, IDLE);
    assert_eq!(asked(&stack, &grant).await, Some(IDLE));
}

async fn asked_in_background(stack: &TestStack, grant: &Grant) -> Option<RejectionKind> {
    let request = crate::test_stack::by(http::Method::GET, grant.access_token())
        .header("session-activity", "background")
        .body(())
        .expect("a request");
    crate::test_stack::rejected(&stack.send(request).await)
}

pub(crate) async fn p17_activity_after_a_background_refresh_is_recorded(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let grant = in_background(stack.at(HOUR), &grant).await;
    let grant = refreshed(stack.at(DAY), &grant).await;
    for token in [grant.access_token(), refresh_token(&grant)].map(claims) {
        assert_eq!(token.get("seen"), None);
    }
    assert_eq!(grant.idle_expires_at(), BEGIN + 4 * DAY);
    assert_eq!(record(&stack, &grant).await.expect("the session is active").last_seen, BEGIN + DAY);
    let grant = in_background(stack.at(2 * DAY), &grant).await;
    assert_eq!(claims(grant.access_token())["seen"], (BEGIN + DAY).as_secs());
    assert_eq!(claims(refresh_token(&grant))["exp"], (BEGIN + 14 * DAY).as_secs());
}

pub(crate) async fn p17_a_background_refresh_keeps_the_last_activity_of_requests(store: Store) {
    let stack = service_of(long_tokens(), &store, |builder| builder);
    let grant = ada(&stack).await;
    assert_eq!(asked(stack.at(DAY), &grant).await, None);
    let next = in_background(stack.at(2 * DAY), &grant).await;
    assert_eq!(claims(next.access_token())["seen"], (BEGIN + DAY).as_secs());
    assert_eq!(next.idle_expires_at(), BEGIN + 4 * DAY);
    assert_eq!(claims(refresh_token(&next))["exp"], (BEGIN + 14 * DAY).as_secs());
    assert_eq!(asked(stack.at(4 * DAY), &next).await, Some(IDLE));
}

pub(crate) async fn p17_replays_of_a_background_refresh_are_not_activity(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let next = in_background(stack.at(HOUR), &grant).await;
    stack.clock.advance(MILLI);
    assert_eq!(tokens(&in_background(&stack, &grant).await), tokens(&next));
    assert_eq!(record(&stack, &next).await.expect("the session is active").last_seen, BEGIN);
}

pub(crate) async fn p33_a_repeated_refresh_is_activity(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    refreshed(&stack, &grant).await;
    let again = refreshed(stack.at(2 * DAY), &grant).await;
    let active = record(&stack, &again).await.expect("the session is active");
    assert_eq!(active.last_seen, BEGIN + 2 * DAY);
    assert_active(stack.at(4 * DAY), &refreshed(&stack, &again).await).await;
}

pub(crate) async fn p33_a_user_active_every_five_minutes_is_refreshed_under_the_default_policy(
    store: Store,
) {
    let policy = Policy::builder().renew(false).build().expect("a legal configuration");
    let stack = service_of(policy, &store, |builder| builder);
    let mut grant = ada(&stack).await;
    for minutes in (5..12 * 60).step_by(5) {
        stack.at(minutes * MINUTE);
        if let Some(rejected) = asked(&stack, &grant).await {
            assert_eq!(rejected, RejectionKind::TokenExpired, "after {minutes} minutes");
            grant = refreshed(&stack, &grant).await;
            assert_eq!(asked(&stack, &grant).await, None, "after {minutes} minutes");
        }
    }
    stack.at(12 * HOUR);
    let refused = refused(&stack, refresh_token(&grant)).await;
    assert_eq!(refused, RejectionKind::SessionExpiredAbsolute);
}
