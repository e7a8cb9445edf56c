//! A source that denies, ends, fails, does not answer or panics.

use std::time::Duration;

use tower_sliding_session::RejectionKind;

use super::{Says, change, editor, get, role_of};
use crate::{
    client::{assert_revoked, details, refresh_token, refreshed, refused},
    empty_stores::Store,
    test_stack::{rejected, renewed, text},
};

const DENIED: RejectionKind = RejectionKind::AccessDenied;
const UNAVAILABLE: RejectionKind = RejectionKind::StoreUnavailable;

pub(crate) async fn p37_a_denied_user_is_answered_with_403(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "none").await;
    roles.say(Says::Deny);
    for _ in 0..3 {
        let response = get(&stack, grant.access_token()).await;
        assert_eq!((rejected(&response), renewed(&response)), (Some(DENIED), None));
        assert_eq!(response.status().as_u16(), 403);
        assert_eq!(response.headers()["session-error"], "access_denied");
    }
    assert_eq!(roles.asked(), 1, "the answer is kept");
    assert_eq!(
        details(&stack, "token_rejected").await,
        [serde_json::json!({ "code": "access_denied" })]
    );
    roles.say(Says::Role);
    change(&stack, &roles, "reader").await;
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader");
}

pub(crate) async fn p37_a_denied_refresh_consumes_the_token(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "none").await;
    roles.say(Says::Deny);
    for says in [Says::Deny, Says::Role] {
        roles.say(says);
        let refused = refused(&stack, refresh_token(&grant)).await;
        assert_eq!(refused, RejectionKind::InvalidRefreshToken);
    }
}

pub(crate) async fn p37_an_ended_session_is_revoked(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "none").await;
    roles.say(Says::End);
    let response = get(&stack, grant.access_token()).await;
    assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked));
    roles.say(Says::Role);
    assert_revoked(&stack, &grant).await;
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
}

pub(crate) async fn p37_unchanged_claims_are_confirmed(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "unread").await;
    roles.say(Says::Keep);
    let response = get(&stack, grant.access_token()).await;
    let successor = renewed(&response).expect("the response carries the successor");
    assert_eq!(role_of(&stack, &successor).await, "editor");
    assert_eq!(roles.asked(), 1);
}

/// The old role is never served: 503, and nothing is lost.
pub(crate) async fn p23_p37_a_source_that_fails_is_a_503(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    for says in [Says::Fails, Says::Panics] {
        roles.say(says);
        for _ in 0..2 {
            let response = get(&stack, grant.access_token()).await;
            assert_eq!(rejected(&response), Some(UNAVAILABLE), "{says:?}");
        }
        assert_eq!(roles.asked(), 2, "a failure is not kept");
    }
    roles.say(Says::Fails);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, UNAVAILABLE);
    roles.say(Says::Role);
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader");
    let next = refreshed(&stack, &grant).await;
    assert_eq!(role_of(&stack, next.access_token()).await, "reader");
}

pub(crate) async fn p23_p37_a_source_that_does_not_answer_is_a_503_after_1_s(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    roles.say(Says::Nothing);
    let timers = stack.clock.waiting_timers();
    let late = async {
        roles.was_asked().await;
        // The time limits of the request and of the question begin.
        while stack.clock.waiting_timers() < timers + 2 {
            tokio::task::yield_now().await;
        }
        stack.clock.advance(Duration::from_millis(999));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        roles.say(Says::Role);
        stack.clock.advance(Duration::from_millis(1));
    };
    let (response, ()) = tokio::join!(get(&stack, grant.access_token()), late);
    assert_eq!(rejected(&response), Some(UNAVAILABLE));
    // The question has the same limit.
    let role = async {
        loop {
            let response = get(&stack, grant.access_token()).await;
            if rejected(&response).is_none() {
                return text(response).await;
            }
        }
    };
    assert_eq!(role.await, "reader");
}
