//! All sessions of a scope, ended at once.

use serde_json::json;
use tower_sliding_session::{identity::Scope, store::Exempt};

use crate::{
    client::{
        ada, details, is_alive, is_dead, record, refreshed, security_log, service, signed_in,
    },
    empty_stores::Store,
    test_stack::{HOUR, MILLI, MINUTE, TestStack},
};

async fn end_all(stack: &TestStack, scope: Scope) -> u64 {
    stack.sessions.revoke_all(scope, Exempt::None).await.expect("ended")
}

pub(crate) async fn an_account_ends_with_its_caller_and_no_other_account(store: Store) {
    let stack = service(&store);
    let acme = [ada(&stack).await, ada(&stack).await, signed_in(&stack, "bob", "acme").await];
    let globex = signed_in(&stack, "ada", "globex").await;
    let nobodys = stack.sessions.start("ada").await.expect("started");
    stack.at(MINUTE);
    let scope = stack.sessions.account_scope("acme");
    assert_eq!(end_all(&stack, scope).await, 3);
    for grant in &acme {
        is_dead(&stack, grant).await;
        assert_eq!(record(&stack, grant).await, None);
    }
    is_alive(&stack, &globex).await;
    is_alive(&stack, &nobodys).await;
}

pub(crate) async fn a_second_call_ends_nothing_and_is_not_audited(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    stack.at(MINUTE);
    let scope = stack.sessions.account_scope("acme");
    assert_eq!(end_all(&stack, scope).await, 1);
    for later in [MINUTE, MINUTE + MILLI, HOUR] {
        assert_eq!(end_all(stack.at(later), scope).await, 0);
    }
    let revoked = json!({ "scope": "account", "revoked_count": 1 });
    assert_eq!(details(&stack, "sessions_revoked_bulk").await, [revoked]);
    let row = security_log(&stack).await.into_iter().find(|row| row.user.is_none());
    assert_eq!(row.expect("one row").account, Some(scope.key()));
    is_dead(&stack, &grant).await;
}

pub(crate) async fn the_sessions_of_an_excepted_user_go_on(store: Store) {
    let stack = service(&store);
    let (owner, bob) = (ada(&stack).await, signed_in(&stack, "bob", "acme").await);
    stack.at(MINUTE);
    let owner_key = stack.sessions.user_scope(Some("acme"), "ada").key();
    let scope = stack.sessions.account_scope("acme");
    let ended = stack.sessions.revoke_all(scope, Exempt::User(owner_key)).await;
    assert_eq!(ended.expect("ended"), 1);
    is_dead(&stack, &bob).await;
    let later = is_alive(&stack, &owner).await;
    stack.at(HOUR);
    refreshed(&stack, &later).await;
}

pub(crate) async fn an_excepted_session_goes_on_and_the_users_others_end(store: Store) {
    let stack = service(&store);
    let [here, elsewhere] = [ada(&stack).await, ada(&stack).await];
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(here.session_id())]);
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("ended"), 1);
    is_dead(&stack, &elsewhere).await;
    let here = is_alive(&stack, &here).await;
    stack.at(MINUTE);
    assert_eq!(end_all(&stack, scope).await, 1, "what one call spares, the next may end");
    is_dead(&stack, &here).await;
}

pub(crate) async fn everything_ends(store: Store) {
    let stack = service(&store);
    let all = [
        ada(&stack).await,
        signed_in(&stack, "bob", "globex").await,
        stack.sessions.start("eve").await.expect("started"),
    ];
    stack.at(MINUTE);
    assert_eq!(end_all(&stack, stack.sessions.everything()).await, 3);
    for grant in &all {
        is_dead(&stack, grant).await;
    }
    let revoked = json!({ "scope": "everything", "revoked_count": 3 });
    assert_eq!(details(&stack, "sessions_revoked_bulk").await, [revoked]);
}

pub(crate) async fn one_session_ends_alone(store: Store) {
    let stack = service(&store);
    let [one, other] = [ada(&stack).await, ada(&stack).await];
    for _ in 0..2 {
        stack.sessions.revoke(one.session_id()).await.expect("ended");
    }
    is_dead(&stack, &one).await;
    is_alive(&stack, &other).await;
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
    stack.sessions.revoke("unheard-of").await.expect("it is over in any case");
}

pub(crate) async fn p29_what_began_in_the_same_millisecond_ends(store: Store) {
    let stack = service(&store);
    stack.at(MILLI);
    let [first, second] = [ada(&stack).await, ada(&stack).await];
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    assert_eq!(end_all(&stack, scope).await, 2);
    is_dead(&stack, &first).await;
    is_dead(&stack, &second).await;
}

pub(crate) async fn p29_a_sign_in_afterwards_lives_in_the_same_millisecond_too(store: Store) {
    let stack = service(&store);
    let sessions = &stack.sessions;
    for scope in [
        sessions.user_scope(Some("acme"), "ada"),
        sessions.account_scope("acme"),
        sessions.everything(),
    ] {
        stack.clock.advance(MINUTE);
        let before = ada(&stack).await;
        assert_eq!(end_all(&stack, scope).await, 1);
        let after = ada(&stack).await;
        is_dead(&stack, &before).await;
        let after = is_alive(&stack, &after).await;
        stack.clock.advance(MINUTE);
        assert_eq!(end_all(&stack, scope).await, 1);
        is_dead(&stack, &after).await;
    }
}

pub(crate) async fn p29_a_sign_in_between_two_revocations_of_one_millisecond_ends(store: Store) {
    let stack = service(&store);
    let scope = stack.sessions.account_scope("acme");
    for _ in 0..3 {
        let grant = ada(&stack).await;
        assert_eq!(end_all(&stack, scope).await, 1);
        is_dead(&stack, &grant).await;
    }
    let exempt_until = ada(&stack).await;
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(exempt_until.session_id())]);
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("ended"), 0);
    is_alive(&stack, &exempt_until).await;
}

pub(crate) async fn p29_a_sign_in_before_a_step_back_of_the_clock_ends_after_it(store: Store) {
    let stack = service(&store);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    stack.at(MINUTE);
    assert_eq!(end_all(&stack, scope).await, 0);
    let grant = ada(&stack).await;
    stack.at(MINUTE - 3000 * MILLI);
    assert_eq!(end_all(&stack, scope).await, 1);
    is_dead(&stack, &grant).await;
    is_alive(&stack, &ada(&stack).await).await;
}

pub(crate) async fn p29_what_one_revocation_spares_the_next_of_the_same_millisecond_ends(
    store: Store,
) {
    let stack = service(&store);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let here = ada(&stack).await;
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(here.session_id())]);
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("ended"), 0);
    assert_eq!(end_all(&stack, scope).await, 1);
    is_dead(&stack, &here).await;
}
