//! Outages of the store.

use std::{
    future::{Future, IntoFuture as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tower_sliding_session::{
    Grant, RejectionKind,
    lifecycle::{AccountPolicyError, StartError},
    policy::TimeoutOverrides,
    store::{Exempt, ListQuery, TokenState},
};

use crate::{
    client::{
        ada, asked, assert_active, assert_revoked, details, refresh_token, refreshed, refused,
        service, session, state_of,
    },
    empty_stores::Store,
    test_stack::{HOUR, MILLI, MINUTE, TestStack, ok, rejected, with},
    unreliable_store::{LIMIT, State, UnreliableStore},
};

const UNAVAILABLE: RejectionKind = RejectionKind::StoreUnavailable;

fn unreliable(store: &Store) -> (TestStack, Arc<UnreliableStore>) {
    let unreliable = UnreliableStore::new(Arc::clone(store));
    let as_store: Store = Arc::clone(&unreliable) as _;
    (service(&as_store), unreliable)
}

/// The output of `question`, within a minute. Advances the clock by the time limit of the lifecycle
/// while it is pending.
async fn eventually<F: IntoFuture>(stack: &TestStack, question: F) -> F::Output {
    let answer = async {
        let mut question = pin!(question.into_future());
        loop {
            let now = poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
            if let Poll::Ready(answer) = now {
                return answer;
            }
            stack.clock.advance(LIMIT);
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answer).await.expect("an answer within a minute")
}

/// Checks that every operation fails with `store_unavailable`.
async fn assert_everything_is_unavailable(stack: &TestStack, grant: &Grant) {
    let sessions = &stack.sessions;
    let scope = sessions.user_scope(Some("acme"), "ada");
    let first = || ListQuery::first(9);
    let sid = grant.session_id();
    let refused = refused(stack, refresh_token(grant));
    assert_eq!(eventually(stack, refused).await, UNAVAILABLE, "refresh");
    // Audit events wait for the store without delaying responses.
    assert_eq!(rejected(&stack.get("forged").await), Some(RejectionKind::InvalidToken));
    assert_eq!(eventually(stack, asked(stack, grant)).await, Some(UNAVAILABLE), "a request");
    for (what, answer) in [
        ("end", eventually(stack, sessions.revoke(sid)).await.err()),
        ("revoke_all", eventually(stack, sessions.revoke_all(scope, Exempt::None)).await.err()),
        ("sessions", eventually(stack, sessions.sessions(scope, first())).await.err()),
        ("session", eventually(stack, sessions.session(sid)).await.err()),
        ("active_users", eventually(stack, sessions.active_users("acme", 9)).await.err()),
        ("audit_log", eventually(stack, sessions.audit_log(scope, first())).await.err()),
        ("activity_log", eventually(stack, sessions.activity_log(scope, first())).await.err()),
        ("account_policy", eventually(stack, sessions.account_policy("acme")).await.err()),
    ] {
        assert_eq!(answer.map(|rejection| rejection.kind()), Some(UNAVAILABLE), "{what}");
    }
    let start = sessions.start("ada").tenant("acme").into_future();
    let Err(StartError::Unavailable(started)) = eventually(stack, start).await else {
        panic!("a session started without a record")
    };
    let overrides = |_| TimeoutOverrides::new().idle(HOUR);
    let change = sessions.change_account_policy("acme", overrides);
    let Err(AccountPolicyError::Unavailable(changed)) = eventually(stack, change).await else {
        panic!("a policy changed without a stored override")
    };
    assert_eq!((started.kind(), changed.kind()), (UNAVAILABLE, UNAVAILABLE));
}

pub(crate) async fn p23_an_outage_signs_nobody_out_and_consumes_no_token(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let mut grant = ada(&stack).await;
    let other = ada(&stack).await;
    for state in [State::Failing, State::NeverAnswering] {
        unreliable.set_state(state);
        assert_everything_is_unavailable(&stack, &grant).await;
        unreliable.set_state(State::Up);
        assert_eq!(state_of(&store, refresh_token(&grant)).await, TokenState::Unused);
        grant = assert_active(&stack, &grant).await;
        assert_eq!(asked(&stack, &other).await, None);
        let policy = stack.sessions.account_policy("acme").await.expect("the store answers");
        assert_eq!(policy.overrides, TimeoutOverrides::default());
        let scope = stack.sessions.user_scope(Some("acme"), "ada");
        let page =
            stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("the store answers");
        assert_eq!(page.items.len(), 2, "no session started");
    }
    for event in ["session_ended", "sessions_revoked_bulk", "session_policy_update"] {
        assert!(details(&stack, event).await.is_empty(), "{event}");
    }
    stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
    assert_revoked(&stack, &grant).await;
}

pub(crate) async fn p23_an_outage_admits_no_revoked_session(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let ended = ada(&stack).await;
    stack.sessions.revoke(ended.session_id()).await.expect("the session is revoked");
    for state in [State::Failing, State::NeverAnswering] {
        unreliable.set_state(state);
        assert_eq!(eventually(&stack, asked(&stack, &ended)).await, Some(UNAVAILABLE));
        let refused = refused(&stack, refresh_token(&ended));
        assert_eq!(eventually(&stack, refused).await, UNAVAILABLE);
        unreliable.set_state(State::Up);
        assert_revoked(&stack, &ended).await;
    }
}

pub(crate) async fn p23_a_store_that_does_not_answer_fails_the_lifecycle_after_5_s(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let grant = ada(&stack).await;
    unreliable.set_state(State::NeverAnswering);
    let mut question = pin!(refused(&stack, refresh_token(&grant)));
    let mut polled = async || poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
    assert_eq!(polled().await, Poll::Pending);
    stack.at(LIMIT - MILLI);
    assert_eq!(polled().await, Poll::Pending);
    stack.at(LIMIT);
    assert_eq!(polled().await, Poll::Ready(UNAVAILABLE));
}

pub(crate) async fn p23_sign_out_in_a_handler_fails_in_an_outage(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let grant = ada(&stack).await;
    let handler = |request| {
        let (stack, unreliable) = (&stack, &unreliable);
        async move {
            let session = session(&request);
            unreliable.set_state(State::Failing);
            let ended = session.sign_out().await.map_err(|rejection| rejection.kind());
            assert_eq!(ended, Err(UNAVAILABLE));
            let again = stack.sessions.reauthenticate(&session).await;
            assert!(matches!(again, Err(StartError::Unavailable(_))));
            unreliable.set_state(State::Up);
            ok()
        }
    };
    let response = stack.send_to(handler, with(grant.access_token())).await;
    assert_eq!(rejected(&response), None);
    assert_active(&stack, &grant).await;
}

pub(crate) async fn p23_a_refresh_can_be_repeated_after_a_lost_answer(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let grant = ada(&stack).await;
    unreliable.set_state(State::LosingAnswers);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, UNAVAILABLE);
    unreliable.set_state(State::Up);
    let next = refreshed(&stack, &grant).await;
    assert_eq!(refreshed(&stack, &grant).await, next);
    assert_active(&stack, &next).await;
    assert!(details(&stack, "refresh_reuse_detected").await.is_empty());
}

pub(crate) async fn p23_a_revocation_whose_answer_was_lost_applies(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let (one, other) = (ada(&stack).await, ada(&stack).await);
    stack.at(MINUTE);
    unreliable.set_state(State::LosingAnswers);
    let lost = stack.sessions.revoke(one.session_id()).await;
    assert_eq!(lost.map_err(|rejection| rejection.kind()), Err(UNAVAILABLE));
    let scope = stack.sessions.account_scope("acme");
    let lost = stack.sessions.revoke_all(scope, Exempt::None).await;
    assert_eq!(lost.map_err(|rejection| rejection.kind()), Err(UNAVAILABLE));
    unreliable.set_state(State::Up);
    assert_revoked(&stack, &one).await;
    assert_revoked(&stack, &other).await;
    assert_eq!(
        stack.sessions.revoke_all(scope, Exempt::None).await.expect("the session is revoked"),
        0
    );
}
