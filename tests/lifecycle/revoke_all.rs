//! Bulk revocation.

use std::time::Duration;

use serde_json::json;
use tower_sliding_session::{
    Rejection, RejectionKind,
    identity::Scope,
    rejection::{RejectionCause, RevocationCause},
    store::Exempt,
};

use crate::{
    client::{
        ada, assert_active, assert_revoked, details, record, refreshed, security_log, service,
        sign_in,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, rejected, signed},
};

async fn revoke_all(stack: &TestStack, scope: Scope) -> u64 {
    stack.sessions.revoke_all(scope, Exempt::None).await.expect("the session is revoked")
}

pub(crate) async fn the_sessions_of_one_account_are_revoked_with_the_callers(store: Store) {
    let stack = service(&store);
    let acme = [ada(&stack).await, ada(&stack).await, sign_in(&stack, "bob", "acme").await];
    let globex = sign_in(&stack, "ada", "globex").await;
    let without_account = stack.sessions.start("ada").await.expect("the session starts");
    stack.at(MINUTE);
    let scope = stack.sessions.account_scope("acme");
    assert_eq!(revoke_all(&stack, scope).await, 3);
    for grant in &acme {
        assert_revoked(&stack, grant).await;
        assert_eq!(record(&stack, grant).await, None);
    }
    assert_active(&stack, &globex).await;
    assert_active(&stack, &without_account).await;
}

/// A password reset: the subject may have a session in each account.
pub(crate) async fn p29_the_sessions_of_a_subject_are_revoked_in_all_accounts(store: Store) {
    let stack = service(&store);
    let bare = stack.sessions.start("ada").await.expect("the session starts");
    let revoked = [ada(&stack).await, sign_in(&stack, "ada", "globex").await, bare];
    let [bob, eve] = [sign_in(&stack, "bob", "acme").await, sign_in(&stack, "eve", "globex").await];
    assert_eq!(revoke_all(&stack, stack.sessions.subject_scope("ada")).await, 3);
    for grant in &revoked {
        assert_revoked(&stack, grant).await;
        let response = stack.get(grant.access_token()).await;
        let rejection = response.extensions().get::<Rejection>().expect("a rejection");
        assert_eq!(
            rejection.cause(),
            Some(RejectionCause::Revoked(RevocationCause::SubjectCutoff))
        );
    }
    for grant in [&bob, &eve, &sign_in(&stack, "ada", "globex").await] {
        assert_active(&stack, grant).await;
    }
    let expected = json!({ "scope": "subject", "revoked_count": 3 });
    assert_eq!(details(&stack, "sessions_revoked_bulk").await, [expected]);
}

pub(crate) async fn each_call_is_audited_with_its_own_count(store: Store) {
    let stack = service(&store);
    let grant = ada(&stack).await;
    stack.at(MINUTE);
    let scope = stack.sessions.account_scope("acme");
    assert_eq!(revoke_all(&stack, scope).await, 1);
    for later in [MINUTE, MINUTE + MILLI, HOUR] {
        assert_eq!(revoke_all(stack.at(later), scope).await, 0);
    }
    let revoked = |count: u64| json!({ "scope": "account", "revoked_count": count });
    let expected = [1, 0, 0, 0].map(revoked);
    assert_eq!(details(&stack, "sessions_revoked_bulk").await, expected);
    let row = security_log(&stack).await.into_iter().find(|row| row.subject.user.is_none());
    assert_eq!(row.expect("a row").subject.account, Some(scope.key()));
    assert_revoked(&stack, &grant).await;
}

pub(crate) async fn the_sessions_of_an_exempt_user_stay_active(store: Store) {
    let stack = service(&store);
    let (owner, bob) = (ada(&stack).await, sign_in(&stack, "bob", "acme").await);
    stack.at(MINUTE);
    let owner_key = stack.sessions.user_scope(Some("acme"), "ada").key();
    let scope = stack.sessions.account_scope("acme");
    let ended = stack.sessions.revoke_all(scope, Exempt::User(owner_key)).await;
    assert_eq!(ended.expect("the session is revoked"), 1);
    assert_revoked(&stack, &bob).await;
    let later = assert_active(&stack, &owner).await;
    stack.at(HOUR);
    refreshed(&stack, &later).await;
}

pub(crate) async fn an_exempt_session_stays_active_and_the_users_others_are_revoked(store: Store) {
    let stack = service(&store);
    let [here, elsewhere] = [ada(&stack).await, ada(&stack).await];
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(here.session_id())]);
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("the session is revoked"), 1);
    assert_revoked(&stack, &elsewhere).await;
    let here = assert_active(&stack, &here).await;
    stack.at(MINUTE);
    assert_eq!(
        revoke_all(&stack, scope).await,
        1,
        "a second call revokes what the first one exempted"
    );
    assert_revoked(&stack, &here).await;
}

pub(crate) async fn everything_of_the_issuer_is_revoked(store: Store) {
    let stack = service(&store);
    let all = [
        ada(&stack).await,
        sign_in(&stack, "bob", "globex").await,
        stack.sessions.start("eve").await.expect("the session starts"),
    ];
    stack.at(MINUTE);
    assert_eq!(revoke_all(&stack, stack.sessions.everything()).await, 3);
    for grant in &all {
        assert_revoked(&stack, grant).await;
    }
    let revoked = json!({ "scope": "issuer", "revoked_count": 3 });
    assert_eq!(details(&stack, "sessions_revoked_bulk").await, [revoked]);
}

pub(crate) async fn one_session_is_revoked_alone(store: Store) {
    let stack = service(&store);
    let [one, other] = [ada(&stack).await, ada(&stack).await];
    for _ in 0..2 {
        stack.sessions.revoke(one.session_id()).await.expect("the session is revoked");
    }
    assert_revoked(&stack, &one).await;
    assert_active(&stack, &other).await;
    assert_eq!(details(&stack, "session_ended").await.len(), 1);
    stack.sessions.revoke("unheard-of").await.expect("an unknown session can be revoked");
}

pub(crate) async fn p29_a_session_of_the_same_millisecond_is_revoked(store: Store) {
    let stack = service(&store);
    stack.at(MILLI);
    let [first, second] = [ada(&stack).await, ada(&stack).await];
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    assert_eq!(revoke_all(&stack, scope).await, 2);
    assert_revoked(&stack, &first).await;
    assert_revoked(&stack, &second).await;
}

pub(crate) async fn p29_a_later_sign_in_of_the_same_millisecond_is_active(store: Store) {
    let stack = service(&store);
    let sessions = &stack.sessions;
    for scope in [
        sessions.user_scope(Some("acme"), "ada"),
        sessions.subject_scope("ada"),
        sessions.account_scope("acme"),
        sessions.everything(),
    ] {
        stack.clock.advance(MINUTE);
        let before = ada(&stack).await;
        assert_eq!(revoke_all(&stack, scope).await, 1);
        let after = ada(&stack).await;
        assert_revoked(&stack, &before).await;
        let after = assert_active(&stack, &after).await;
        stack.clock.advance(MINUTE);
        assert_eq!(revoke_all(&stack, scope).await, 1);
        assert_revoked(&stack, &after).await;
    }
}

pub(crate) async fn p29_a_sign_in_between_two_revocations_of_one_millisecond_is_revoked(
    store: Store,
) {
    let stack = service(&store);
    let scope = stack.sessions.account_scope("acme");
    for _ in 0..3 {
        let grant = ada(&stack).await;
        assert_eq!(revoke_all(&stack, scope).await, 1);
        assert_revoked(&stack, &grant).await;
    }
    let exempt_until = ada(&stack).await;
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(exempt_until.session_id())]);
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("the session is revoked"), 0);
    assert_active(&stack, &exempt_until).await;
}

pub(crate) async fn p29_a_sign_in_before_the_clock_steps_back_is_revoked_after_it(store: Store) {
    let stack = service(&store);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    stack.at(MINUTE);
    assert_eq!(revoke_all(&stack, scope).await, 0);
    let grant = ada(&stack).await;
    stack.at(MINUTE - 3000 * MILLI);
    assert_eq!(revoke_all(&stack, scope).await, 1);
    assert_revoked(&stack, &grant).await;
    assert_active(&stack, &ada(&stack).await).await;
}

pub(crate) async fn p29_a_second_revocation_of_the_same_millisecond_revokes_exempt_sessions(
    store: Store,
) {
    let stack = service(&store);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let here = ada(&stack).await;
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(here.session_id())]);
    assert_eq!(stack.sessions.revoke_all(scope, exempt).await.expect("the session is revoked"), 0);
    assert_eq!(revoke_all(&stack, scope).await, 1);
    assert_revoked(&stack, &here).await;
}

/// Another issuer writes no `epoch`, and cannot know of the cutoff, which lies after the revocation
/// by the clock skew.
pub(crate) async fn p33_a_token_of_another_issuer_minted_after_a_revocation_is_active(
    store: Store,
) {
    let stack = service(&store);
    let minted = |sid: &str, since_begin: Duration| {
        let at = (BEGIN + since_begin).as_secs();
        signed(&format!(
            r#"{{"sub":"ada","sid":"{sid}","auth_time":{at},"iat":{at},"exp":{}}}"#,
            at + 900
        ))
    };
    let second = 1000 * MILLI;
    for (kind, scope) in [
        ("user", stack.sessions.user_scope(None, "ada")),
        ("subject", stack.sessions.subject_scope("ada")),
        ("issuer", stack.sessions.everything()),
    ] {
        let revoked_at = MINUTE + 500 * MILLI;
        let earlier = [minted(&format!("{kind} 1"), second), minted(&format!("{kind} 2"), MINUTE)];
        stack.at(revoked_at);
        revoke_all(&stack, scope).await;
        let later = [
            minted(&format!("{kind} 3"), MINUTE + second),
            minted(&format!("{kind} 4"), MINUTE + 3 * second),
        ];
        for since_begin in [MINUTE + 3 * second, 5 * MINUTE] {
            stack.at(since_begin);
            for token in &earlier {
                let rejection = rejected(&stack.get(token).await);
                assert_eq!(rejection, Some(RejectionKind::SessionRevoked), "{kind}");
            }
            for token in &later {
                assert_eq!(rejected(&stack.get(token).await), None, "{kind}");
            }
        }
        stack.at(Duration::ZERO);
    }
}
