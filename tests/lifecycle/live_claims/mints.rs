//! Tokens that are minted while claims change.

use http::{Request, Response};
use serde_json::json;
use tower_sliding_session::Grant;

use super::{Says, change, editor, get, role_of};
use crate::{
    client::{refresh_token, refreshed, session},
    empty_stores::Store,
    test_stack::{MINUTE, claims, renewed, text, with},
};

pub(crate) async fn p37_a_refresh_and_a_step_up_mint_current_claims(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    let next = refreshed(&stack, &grant).await;
    assert_eq!(claims(refresh_token(&next))["role"], "reader");
    roles.asked();
    assert_eq!(role_of(&stack, next.access_token()).await, "reader");
    assert_eq!(roles.asked(), 0, "the refreshed token is up to date");

    change(&stack, &roles, "admin").await;
    let sessions = stack.sessions.clone();
    let handler = move |request: Request<()>| {
        let sessions = sessions.clone();
        async move {
            let grant = sessions.reauthenticate(&session(&request)).await.expect("it starts");
            Response::new(grant.access_token().to_owned())
        }
    };
    let stepped_up = text(stack.send_to(handler, with(next.access_token())).await).await;
    roles.asked();
    assert_eq!(role_of(&stack, &stepped_up).await, "admin");
    assert_eq!(roles.asked(), 0, "the token of the step-up is up to date");
}

pub(crate) async fn p37_a_renewal_mints_the_number_of_the_change(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    stack.at(8 * MINUTE);
    let sessions = stack.sessions.clone();
    let table = roles.clone();
    let handler = move |_: Request<()>| {
        let (sessions, table) = (sessions.clone(), table.clone());
        async move {
            table.set("reader");
            let changed = sessions.claims_changed(sessions.account_scope("acme")).await;
            changed.expect("the store answers");
            Response::new(String::new())
        }
    };
    let response = stack.send_to(handler, with(grant.access_token())).await;
    let successor = renewed(&response).expect("renewal is due");
    assert_eq!(claims(&successor)["role"], "reader");
    roles.asked();
    assert_eq!(role_of(&stack, &successor).await, "reader");
    assert_eq!(roles.asked(), 0);
}

/// A mint whose source has read the old role: its token is stale, although it is minted after the
/// change.
pub(crate) async fn p37_a_token_that_was_minted_during_the_change_is_stale(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    for is_refresh in [true, false] {
        roles.set("editor");
        roles.say(Says::RoleLater);
        let changed = async {
            roles.was_asked().await;
            change(&stack, &roles, "reader").await;
            roles.answer();
        };
        let mint = async {
            let minted: Grant = if is_refresh {
                refreshed(&stack, &grant).await
            } else {
                stack.sessions.start("ada").tenant("acme").await.expect("the session starts")
            };
            minted
        };
        let (minted, ()) = tokio::join!(mint, changed);
        assert_eq!(claims(minted.access_token())["role"], "editor", "the source read it before");
        roles.say(Says::Role);
        assert_eq!(role_of(&stack, minted.access_token()).await, "reader", "{is_refresh}");
        roles.was_asked().await;
        stack.at(MINUTE);
    }
}

/// Nobody knows when the app has read the claims that it gives.
pub(crate) async fn p37_claims_that_a_sign_in_gives_are_asked_for_after_a_change(store: Store) {
    let (stack, roles, _) = editor(&store).await;
    change(&stack, &roles, "reader").await;
    let start = stack.sessions.start("ada").tenant("acme").claims(&json!({ "role": "editor" }));
    let grant = start.await.expect("the session starts");
    roles.asked();
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader");
    let start = stack.sessions.start("ada").tenant("acme");
    let grant = start.await.expect("the session starts");
    roles.asked();
    assert_eq!(role_of(&stack, grant.access_token()).await, "reader");
    assert_eq!(roles.asked(), 0, "the sign-in has asked");
}

pub(crate) async fn p37_a_handler_that_replaces_claims_does_not_hide_a_change(store: Store) {
    let (stack, roles, grant) = editor(&store).await;
    let sessions = stack.sessions.clone();
    let table = roles.clone();
    let handler = move |request: Request<()>| {
        let (sessions, table) = (sessions.clone(), table.clone());
        async move {
            session(&request).replace_claims(&json!({ "role": "owner" })).expect("app's claims");
            table.set("reader");
            let changed = sessions.claims_changed(sessions.everything()).await;
            changed.expect("the store answers");
            Response::new(String::new())
        }
    };
    let response = stack.send_to(handler, with(grant.access_token())).await;
    let successor = renewed(&response).expect("claims were replaced");
    let response = get(&stack, &successor).await;
    assert_eq!(text(response).await, "reader");
}
