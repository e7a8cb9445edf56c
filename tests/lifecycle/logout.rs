//! Requests in flight while their session is revoked.

use http::Request;
use tower_sliding_session::store::Exempt;

use crate::{
    client::{ada, assert_active, assert_revoked, service, session, sign_in},
    empty_stores::Store,
    test_stack::{MINUTE, TestStack, ok, rejected, renewed, with},
};

/// Checks that a response carries no token if `end` runs during its handler.
async fn in_flight(store: Store, end: impl AsyncFn(&TestStack, Request<()>) + Clone) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    let control = sign_in(&stack, "bob", "acme").await;
    stack.at(8 * MINUTE);
    let handler = |request| {
        let (end, stack) = (end.clone(), &stack);
        async move {
            end(stack, request).await;
            ok()
        }
    };
    let response = stack.send_to(handler, with(grant.access_token())).await;
    assert_eq!((rejected(&response), renewed(&response)), (None, None));
    assert_revoked(&stack, &grant).await;
    assert!(renewed(&stack.get(control.access_token()).await).is_some(), "the renewal was due");
}

pub(crate) async fn p04_a_session_revoked_elsewhere_is_not_renewed(store: Store) {
    in_flight(store, async |stack, request| {
        stack.sessions.revoke(session(&request).id()).await.expect("the session is revoked");
    })
    .await;
}

pub(crate) async fn p04_a_session_revoked_in_bulk_is_not_renewed(store: Store) {
    in_flight(store, async |stack, _| {
        let scope = stack.sessions.user_scope(Some("acme"), "ada");
        stack.sessions.revoke_all(scope, Exempt::None).await.expect("the session is revoked");
    })
    .await;
}

pub(crate) async fn p04_a_session_signed_out_by_its_handler_is_not_renewed(store: Store) {
    in_flight(store, async |_, request| {
        session(&request).sign_out().await.expect("the session is revoked");
    })
    .await;
}

pub(crate) async fn p04_p21_a_session_that_was_stepped_up_is_not_renewed(store: Store) {
    in_flight(store, async |stack, request| {
        let session = session(&request);
        let grant = stack.sessions.reauthenticate(&session).await.expect("the session starts");
        assert_active(stack, &grant).await;
    })
    .await;
}
