//! Refresh tokens that are refused.

use std::sync::Arc;

use tower_sliding_session::{Policy, RejectionKind, store::Exempt};

use crate::{
    client::{
        DAY, ada, asked, assert_active, assert_unused, refresh_token, refreshed, refused, service,
        service_of,
    },
    empty_stores::Store,
    test_stack::{MILLI, MINUTE, SECRET, TestStack, forge, payload, rejected},
};

const REFRESH: &str = r#"{"alg":"HS256","typ":"rt+jwt"}"#;
const INVALID: RejectionKind = RejectionKind::InvalidRefreshToken;

pub(crate) async fn a_refresh_token_of_an_idle_session_stays_unused(store: Store) {
    let stack = service(&store);
    let (grant, other) = (ada(&stack).await, ada(&stack).await);
    stack.at(3 * DAY - MILLI);
    refreshed(&stack, &other).await;
    stack.at(3 * DAY);
    for _ in 0..2 {
        let refused = refused(&stack, refresh_token(&grant)).await;
        assert_eq!(refused, RejectionKind::SessionExpiredIdle);
    }
    assert_unused(&store, refresh_token(&grant)).await;
    let again = ada(&stack).await;
    assert_ne!(again.session_id(), grant.session_id());
    assert_active(&stack, &again).await;
}

pub(crate) async fn an_access_token_cannot_refresh_and_a_refresh_token_cannot_authenticate(
    store: Store,
) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    assert_eq!(refused(&stack, grant.access_token()).await, INVALID);
    let response = stack.get(refresh_token(&grant)).await;
    assert_eq!(rejected(&response), Some(RejectionKind::InvalidToken));
    assert_active(&stack, &grant).await;
}

pub(crate) async fn a_forged_refresh_token_is_refused_and_the_genuine_one_stays_valid(
    store: Store,
) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let (token, body) = (refresh_token(&grant), payload(refresh_token(&grant)));
    let (unsigned, _) = token.rsplit_once('.').expect("three parts");
    for forged in [
        String::new(),
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        "..".to_owned(),
        unsigned.to_owned(),
        format!("{unsigned}."),
        format!("{token}A"),
        "A".repeat(9000),
        forge(REFRESH, &body, &[9; 32]),
        forge(r#"{"alg":"none","typ":"rt+jwt"}"#, &body, &SECRET),
        forge(r#"{"alg":"HS256","typ":"JWT"}"#, &body, &SECRET),
        forge(r#"{"alg":"HS256"}"#, &body, &SECRET),
        forge(REFRESH, "{}", &SECRET),
    ] {
        assert_eq!(refused(&stack, &forged).await, INVALID, "{forged}");
    }
    assert_unused(&store, token).await;
    stack
        .sessions
        .refresh(&forge(REFRESH, &body, &SECRET))
        .await
        .expect("the genuine token is valid");
}

/// A session that the store has lost: it may have been active until the access token expired, which
/// is 15 minutes; or until now, where layers renew access tokens.
pub(crate) async fn p33_a_refresh_token_of_an_unknown_session_is_judged_by_its_times(store: Store) {
    let policy = |renews| {
        let policy = Policy::long_lived().to_builder().renew(renews);
        policy.build().expect("a legal configuration")
    };
    let stack = service_of(policy(false), &store, |builder| builder);
    let grant = ada(&stack).await;
    let unknown = |sid: &str| {
        let body = payload(refresh_token(&grant)).replace(grant.session_id(), sid);
        forge(REFRESH, &body, &SECRET)
    };
    let last = 3 * DAY + 15 * MINUTE;
    stack.at(last - MILLI);
    let next = stack.sessions.refresh(&unknown("a")).await.expect("the session goes on");
    assert_active(&stack, &next).await;
    stack.at(last);
    assert_eq!(refused(&stack, &unknown("b")).await, RejectionKind::SessionExpiredIdle);
    let stack = service_of(policy(true), &store, |builder| builder);
    let next = stack.at(13 * DAY).sessions.refresh(&unknown("c")).await;
    assert_active(&stack, &next.expect("the session goes on")).await;
}

pub(crate) async fn a_revoked_session_is_refused_as_revoked_after_its_deadlines(store: Store) {
    let stack = service(&store);
    let (grant, other) = (ada(&stack).await, ada(&stack).await);
    stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    stack
        .sessions
        .revoke_all(stack.sessions.everything(), Exempt::None)
        .await
        .expect("the session is revoked");
    for days in [0, 3, 14] {
        stack.at(days * DAY);
        for grant in [&grant, &other] {
            assert_eq!(refused(&stack, refresh_token(grant)).await, INVALID, "{days}");
        }
    }
}

pub(crate) async fn refresh_tokens_are_off_by_default(store: Store) {
    let with = service(&store);
    let token = refresh_token(&ada(&with).await).to_owned();
    let without = TestStack::with(Policy::long_lived(), |builder| {
        builder.lifecycle_store(Arc::clone(&store))
    });
    let grant = ada(&without).await;
    assert_eq!((grant.refresh_token(), asked(&without, &grant).await), (None, None));
    assert!(!serde_json::to_string(&grant).expect("JSON").contains("refresh_token"));
    assert_eq!(refused(&without, &token).await, INVALID);
    with.sessions.refresh(&token).await.expect("the token is not consumed");
}

pub(crate) async fn a_token_of_another_issuer_or_audience_is_refused(store: Store) {
    let ours =
        service_of(Policy::long_lived(), &store, |it| it.issuer("https://ours").audience("ours"));
    let grant = ada(&ours).await;
    for other in [
        service(&store),
        service_of(Policy::long_lived(), &store, |it| it.issuer("https://theirs").audience("ours")),
        service_of(Policy::long_lived(), &store, |it| it.issuer("https://ours").audience("theirs")),
    ] {
        assert_eq!(refused(&other, refresh_token(&grant)).await, INVALID);
    }
    assert_active(&ours, &grant).await;
}
