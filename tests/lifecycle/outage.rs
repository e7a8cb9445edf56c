//! What becomes of sessions while their store is away.

use std::{
    future::{Future, IntoFuture as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use tower_sliding_session::{
    Grant, RejectionKind,
    audit::LogCategory,
    lifecycle::{AccountPolicyError, StartError},
    policy::TimeoutOverrides,
    store::{Exempt, ListQuery, LogScope, TokenState},
};

use crate::{
    client::{
        ada, asked, details, is_alive, is_dead, refresh_token, refreshed, refused, service,
        session, state_of,
    },
    empty_stores::Store,
    test_stack::{HOUR, MILLI, MINUTE, TestStack, ok, rejected, with},
    unsteady::{LIMIT, State, Unsteady},
};

const UNAVAILABLE: RejectionKind = RejectionKind::StoreUnavailable;

fn unsteady(store: &Store) -> (TestStack, Arc<Unsteady>) {
    let unsteady = Unsteady::new(Arc::clone(store));
    let as_store: Store = Arc::clone(&unsteady) as _;
    (service(&as_store), unsteady)
}

/// The answer to a question, however many time limits it takes.
async fn in_the_end<F: Future>(stack: &TestStack, question: F) -> F::Output {
    let mut question = pin!(question);
    loop {
        let now = poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
        if let Poll::Ready(answer) = now {
            return answer;
        }
        stack.clock.advance(LIMIT);
        tokio::task::yield_now().await;
    }
}

/// Asks for everything that there is to ask for; each answer is `store_unavailable`.
async fn nothing_is_available(stack: &TestStack, grant: &Grant) {
    let sessions = &stack.sessions;
    let scope = sessions.user_scope(Some("acme"), "ada");
    let first = || ListQuery::first(9);
    let log = LogScope { category: LogCategory::Security, scope };
    let sid = grant.session_id();
    let refused = refused(stack, refresh_token(grant));
    assert_eq!(in_the_end(stack, refused).await, UNAVAILABLE, "refresh");
    // What is noted meanwhile waits for the store, and keeps nobody waiting.
    assert_eq!(rejected(&stack.get("forged").await), Some(RejectionKind::InvalidToken));
    assert_eq!(in_the_end(stack, asked(stack, grant)).await, Some(UNAVAILABLE), "a request");
    for (what, answer) in [
        ("end", in_the_end(stack, sessions.revoke(sid)).await.err()),
        ("end_all", in_the_end(stack, sessions.revoke_all(scope, Exempt::None)).await.err()),
        ("sessions", in_the_end(stack, sessions.sessions(scope, first())).await.err()),
        ("session", in_the_end(stack, sessions.session(sid)).await.err()),
        ("active_users", in_the_end(stack, sessions.active_users("acme", 9)).await.err()),
        ("log", in_the_end(stack, sessions.log(log, first())).await.err()),
        ("account_policy", in_the_end(stack, sessions.account_policy("acme")).await.err()),
    ] {
        assert_eq!(answer.map(|rejection| rejection.kind()), Some(UNAVAILABLE), "{what}");
    }
    let start = sessions.start("ada").tenant("acme").into_future();
    let Err(StartError::Unavailable(started)) = in_the_end(stack, start).await else {
        panic!("a session started that nobody knows of")
    };
    let overrides = |_| TimeoutOverrides::new().idle(HOUR);
    let change = sessions.change_account_policy("acme", overrides);
    let Err(AccountPolicyError::Unavailable(changed)) = in_the_end(stack, change).await else {
        panic!("a policy changed that nobody keeps")
    };
    assert_eq!((started.kind(), changed.kind()), (UNAVAILABLE, UNAVAILABLE));
}

pub(crate) async fn p23_an_outage_signs_nobody_out_and_uses_nothing_up(store: Store) {
    let (stack, unsteady) = unsteady(&store);
    let mut grant = ada(&stack).await;
    let other = ada(&stack).await;
    for state in [State::Failing, State::Silent] {
        unsteady.turn(state);
        nothing_is_available(&stack, &grant).await;
        unsteady.turn(State::Up);
        assert_eq!(state_of(&store, refresh_token(&grant)).await, TokenState::Unused);
        grant = is_alive(&stack, &grant).await;
        assert_eq!(asked(&stack, &other).await, None);
        let policy = stack.sessions.account_policy("acme").await.expect("it answers");
        assert_eq!(policy.overrides, TimeoutOverrides::default());
        let scope = stack.sessions.user_scope(Some("acme"), "ada");
        let page = stack.sessions.sessions(scope, ListQuery::first(9)).await.expect("it answers");
        assert_eq!(page.items.len(), 2, "no session began");
    }
    for event in ["session_ended", "sessions_revoked_bulk", "session_policy_update"] {
        assert!(details(&stack, event).await.is_empty(), "{event}");
    }
    stack.sessions.revoke(grant.session_id()).await.expect("ended");
    is_dead(&stack, &grant).await;
}

pub(crate) async fn p23_an_outage_lets_no_ended_session_in(store: Store) {
    let (stack, unsteady) = unsteady(&store);
    let ended = ada(&stack).await;
    stack.sessions.revoke(ended.session_id()).await.expect("ended");
    for state in [State::Failing, State::Silent] {
        unsteady.turn(state);
        assert_eq!(in_the_end(&stack, asked(&stack, &ended)).await, Some(UNAVAILABLE));
        let refused = refused(&stack, refresh_token(&ended));
        assert_eq!(in_the_end(&stack, refused).await, UNAVAILABLE);
        unsteady.turn(State::Up);
        is_dead(&stack, &ended).await;
    }
}

pub(crate) async fn p23_a_silent_store_is_given_up_at_five_seconds(store: Store) {
    let (stack, unsteady) = unsteady(&store);
    let grant = ada(&stack).await;
    unsteady.turn(State::Silent);
    let mut question = pin!(refused(&stack, refresh_token(&grant)));
    let mut polled = async || poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
    assert_eq!(polled().await, Poll::Pending);
    stack.at(LIMIT - MILLI);
    assert_eq!(polled().await, Poll::Pending);
    stack.at(LIMIT);
    assert_eq!(polled().await, Poll::Ready(UNAVAILABLE));
}

pub(crate) async fn p23_a_handler_hears_that_its_session_did_not_end(store: Store) {
    let (stack, unsteady) = unsteady(&store);
    let grant = ada(&stack).await;
    let handler = |request| {
        let (stack, unsteady) = (&stack, &unsteady);
        async move {
            let session = session(&request);
            unsteady.turn(State::Failing);
            let ended = session.sign_out().await.map_err(|rejection| rejection.kind());
            assert_eq!(ended, Err(UNAVAILABLE));
            let again = stack.sessions.reauthenticate(&session).await;
            assert!(matches!(again, Err(StartError::Unavailable(_))));
            unsteady.turn(State::Up);
            ok()
        }
    };
    let response = stack.send_to(handler, with(grant.access_token())).await;
    assert_eq!(rejected(&response), None);
    is_alive(&stack, &grant).await;
}

pub(crate) async fn p23_a_refresh_whose_answer_was_lost_is_answered_by_its_repetition(
    store: Store,
) {
    let (stack, unsteady) = unsteady(&store);
    let grant = ada(&stack).await;
    unsteady.turn(State::Mute);
    assert_eq!(refused(&stack, refresh_token(&grant)).await, UNAVAILABLE);
    unsteady.turn(State::Up);
    let next = refreshed(&stack, &grant).await;
    assert_eq!(refreshed(&stack, &grant).await, next);
    is_alive(&stack, &next).await;
    assert!(details(&stack, "refresh_reuse_detected").await.is_empty());
}

pub(crate) async fn p23_an_end_whose_answer_was_lost_is_an_end(store: Store) {
    let (stack, unsteady) = unsteady(&store);
    let (one, other) = (ada(&stack).await, ada(&stack).await);
    stack.at(MINUTE);
    unsteady.turn(State::Mute);
    let lost = stack.sessions.revoke(one.session_id()).await;
    assert_eq!(lost.map_err(|rejection| rejection.kind()), Err(UNAVAILABLE));
    let scope = stack.sessions.account_scope("acme");
    let lost = stack.sessions.revoke_all(scope, Exempt::None).await;
    assert_eq!(lost.map_err(|rejection| rejection.kind()), Err(UNAVAILABLE));
    unsteady.turn(State::Up);
    is_dead(&stack, &one).await;
    is_dead(&stack, &other).await;
    assert_eq!(stack.sessions.revoke_all(scope, Exempt::None).await.expect("ended"), 0);
}
