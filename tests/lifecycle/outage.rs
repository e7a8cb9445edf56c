//! Outages of the store.

use std::{
    future::{Future, IntoFuture as _, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{Method, Request};
use tower_sliding_session::{
    Grant, Policy, RejectionKind,
    identity::Scope,
    layers::OnStoreFailure,
    lifecycle::{AccountPolicyError, StartError},
    policy::TimeoutOverrides,
    store::{Exempt, ListQuery, RefreshState, StoreOutage},
};

use crate::{
    client::{
        ada, asked, assert_active, assert_revoked, details, refresh_token, refreshed, refused,
        service, service_of, session, state_of,
    },
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, by, ok, rejected, with},
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
        let recorded =
            async || match state_of(&store, refresh_token(&grant)).await.expect("it answers") {
                RefreshState::Known(recorded) => (recorded.generation, recorded.exchange),
                state => panic!("{state:?}"),
            };
        let before = recorded().await;
        unreliable.set_state(state);
        assert_everything_is_unavailable(&stack, &grant).await;
        unreliable.set_state(State::Up);
        assert_eq!(recorded().await, before);
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

pub(crate) async fn p39_all_answers_to_a_refresh_have_one_time_limit(store: Store) {
    let (stack, unreliable) = unreliable(&store);
    let grant = ada(&stack).await;
    unreliable.set_state(State::Holding);
    let mut question = pin!(refused(&stack, refresh_token(&grant)));
    let mut polled = async || poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
    assert_eq!(polled().await, Poll::Pending);
    stack.at(LIMIT - MILLI);
    unreliable.set_state(State::NeverAnswering);
    while unreliable.rotations() == 0 {
        assert_eq!(polled().await, Poll::Pending);
        tokio::task::yield_now().await;
    }
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

/// Signs in `ada`, who is active five minutes later, and begins an outage.
async fn before_an_outage(store: &Store) -> (TestStack, Arc<UnreliableStore>, Grant) {
    let unreliable = UnreliableStore::new(Arc::clone(store));
    let as_store: Store = Arc::clone(&unreliable) as _;
    let policy = Policy::builder().build().expect("the default policy");
    let stack = service_of(policy, &as_store, |builder| builder);
    let grant = ada(&stack).await;
    assert_eq!(asked(stack.at(5 * MINUTE), &grant).await, None);
    unreliable.set_state(State::Failing);
    (stack, unreliable, grant)
}

pub(crate) async fn p23_an_outage_longer_than_the_idle_timeout_signs_out_nobody_who_went_on(
    store: Store,
) {
    for slow in [false, true] {
        let (stack, unreliable, goes_on) = before_an_outage(&store).await;
        unreliable.set_state(State::Up);
        stack.at(Duration::ZERO);
        let sign_in = async || {
            let grant = ada(&stack).await;
            assert_eq!(asked(stack.at(5 * MINUTE), &grant).await, None);
            grant
        };
        let (pauses, late, away, ended) =
            (sign_in().await, sign_in().await, sign_in().await, sign_in().await);
        stack.sessions.revoke(ended.session_id()).await.expect("revoked");
        unreliable.set_state(if slow { State::NeverAnswering } else { State::Failing });
        let attempt = async |grant: &Grant, minutes: u32| {
            stack.at(minutes * MINUTE);
            let answer = asked(&stack, grant);
            assert_eq!(eventually(&stack, answer).await, Some(UNAVAILABLE), "{minutes}");
        };
        // Within the idle timeout of 20 minutes, each and the first.
        for minutes in [10, 29, 45] {
            attempt(&goes_on, minutes).await;
            attempt(&ended, minutes).await;
        }
        for minutes in [10, 31, 45] {
            attempt(&pauses, minutes).await;
        }
        for minutes in [25, 35, 45] {
            attempt(&late, minutes).await;
        }
        unreliable.set_state(State::Up);
        stack.at(50 * MINUTE);
        let background = with_header(&goes_on, ("session-activity", "background"));
        assert_eq!(rejected(&stack.send(background).await), None);
        assert_eq!(asked(&stack, &goes_on).await, None);
        let idle = Some(RejectionKind::SessionExpiredIdle);
        for (grant, kind) in [
            (&pauses, idle),
            (&late, idle),
            (&away, idle),
            (&ended, Some(RejectionKind::SessionRevoked)),
        ] {
            assert_eq!(asked(&stack, grant).await, kind);
        }
        // What was recorded is the activity of the request that came after the outage.
        stack.at(59 * MINUTE);
        assert_eq!(asked(&stack, &goes_on).await, None);
    }
}

/// No node has seen an activity in each idle timeout of 20 minutes, and another one answers after the
/// outage.
pub(crate) async fn p23_the_attempts_of_all_nodes_count_together(store: Store) {
    let (one, unreliable, goes_on) = before_an_outage(&store).await;
    let as_store: Store = Arc::clone(&unreliable) as _;
    let node = || service_of(Policy::builder().build().expect("valid"), &as_store, |it| it);
    let (two, three) = (node(), node());
    let at = |minutes| {
        for node in [&one, &two, &three] {
            node.at(minutes * MINUTE);
        }
    };
    unreliable.set_state(State::Up);
    at(0);
    let (alternates, pauses, ended) = (ada(&one).await, ada(&one).await, ada(&one).await);
    one.sessions.revoke(ended.session_id()).await.expect("revoked");
    unreliable.set_state(State::Failing);
    for (minutes, node) in [(10, &one), (24, &one), (38, &one), (50, &two)] {
        at(minutes);
        for grant in [&goes_on, &ended] {
            assert_eq!(asked(node, grant).await, Some(UNAVAILABLE), "{minutes}");
        }
    }
    for (minutes, node) in [(10, &one), (24, &two), (38, &one), (50, &two)] {
        at(minutes);
        assert_eq!(asked(node, &alternates).await, Some(UNAVAILABLE), "{minutes}");
    }
    for (minutes, node) in [(19, &one), (40, &two), (52, &one)] {
        at(minutes);
        assert_eq!(asked(node, &pauses).await, Some(UNAVAILABLE), "{minutes}");
    }
    unreliable.set_state(State::Up);
    at(57);
    // Each writes what follows the activity that the store knows.
    for node in [&one, &two, &one, &two] {
        node.sessions.flush().await.expect("the store answers");
    }
    assert_eq!(asked(&three, &goes_on).await, None);
    assert_eq!(asked(&three, &alternates).await, None);
    assert_eq!(asked(&three, &pauses).await, Some(RejectionKind::SessionExpiredIdle));
    assert_eq!(asked(&three, &ended).await, Some(RejectionKind::SessionRevoked));
}

/// The background task of the node writes them.
pub(crate) async fn p23_attempts_are_written_when_the_store_answers_again(store: Store) {
    let (one, unreliable, grant) = before_an_outage(&store).await;
    let two = service_of(Policy::builder().build().expect("valid"), &store, |it| it);
    assert_eq!(asked(one.at(20 * MINUTE), &grant).await, Some(UNAVAILABLE));
    // It finds that the store does not answer yet.
    one.at(21 * MINUTE);
    unreliable.set_state(State::Up);
    two.at(30 * MINUTE);
    let becomes_known = async {
        for minutes in 22.. {
            one.at(minutes * MINUTE);
            if asked(&two, &grant).await.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), becomes_known).await.expect("it is written");
}

/// The server of a cluster is lost that one user is on.
pub(crate) async fn p23_the_attempts_of_a_user_who_cannot_be_written_hold_up_no_others(
    store: Store,
) {
    let (one, unreliable, grant) = before_an_outage(&store).await;
    unreliable.set_state(State::Up);
    let start = async |user: String| one.sessions.start(user).await.expect("the session starts");
    let lost = start("lost".to_owned()).await;
    let mut others = vec![grant];
    for user in 0..40 {
        others.push(start(format!("user {user}")).await);
    }
    unreliable.set_state(State::Failing);
    for grant in [&lost].into_iter().chain(&others) {
        assert_eq!(asked(one.at(10 * MINUTE), grant).await, Some(UNAVAILABLE));
    }
    unreliable.set_state(State::Up);
    let Scope::User(user) = one.sessions.user_scope(None, "lost") else {
        panic!("it is that of a user")
    };
    unreliable.fail_for(user);
    let flushed = one.sessions.flush().await;
    assert_eq!(flushed.map_err(|rejection| rejection.kind()), Err(UNAVAILABLE));
    assert_eq!(unreliable.flushes(), 1, "other activities are written, too");
    let two = service_of(Policy::builder().build().expect("valid"), &store, |it| it);
    for grant in &others {
        assert_eq!(asked(two.at(25 * MINUTE), grant).await, None);
    }
}

/// A session that is idle, as far as the store knows, may have been active on another node.
pub(crate) async fn p23_a_session_is_idle_only_when_other_nodes_can_have_written(store: Store) {
    let (stack, unreliable, grant) = before_an_outage(&store).await;
    let second = Duration::from_secs(1);
    for late in [Duration::ZERO, 5 * second] {
        unreliable.set_state(State::Failing);
        assert_eq!(asked(stack.at(40 * MINUTE + late), &grant).await, Some(UNAVAILABLE));
        unreliable.set_state(State::Up);
    }
    // What it answers is no attempt, and neither is a refresh.
    for late in [5 * second, 15 * second - MILLI] {
        assert_eq!(
            asked(stack.at(40 * MINUTE + late), &grant).await,
            Some(UNAVAILABLE),
            "{late:?}"
        );
        assert_eq!(refused(&stack, refresh_token(&grant)).await, UNAVAILABLE);
    }
    let idle = Some(RejectionKind::SessionExpiredIdle);
    assert_eq!(asked(stack.at(40 * MINUTE + 15 * second), &grant).await, idle);
}

/// This node was not asked in it.
pub(crate) async fn p23_no_session_is_idle_that_was_active_when_an_outage_began(store: Store) {
    let (stack, unreliable, grant) = before_an_outage(&store).await;
    let as_store: Store = Arc::clone(&unreliable) as _;
    let trusting = service_of(Policy::builder().build().expect("valid"), &as_store, |builder| {
        builder.on_store_failure(OnStoreFailure::TrustToken)
    });
    unreliable.set_state(State::Up);
    let (second, minutes) = (Duration::from_secs(1), |minutes: u32| BEGIN + minutes * MINUTE);
    let idle = Some(RejectionKind::SessionExpiredIdle);
    // It is idle from the 25th minute.
    for (from, expected) in [(minutes(25), idle), (minutes(25) - MILLI, Some(UNAVAILABLE))] {
        unreliable.set_outage(StoreOutage::new(from, minutes(30)));
        for stack in [&stack, &trusting] {
            stack.at(30 * MINUTE + 10 * second - MILLI);
            assert_eq!(asked(stack, &grant).await, expected, "{from:?}");
        }
        assert_eq!(asked(stack.at(30 * MINUTE + 10 * second), &grant).await, idle);
    }
}

pub(crate) async fn p23_a_refresh_in_an_outage_is_an_attempt(store: Store) {
    let (stack, unreliable, grant) = before_an_outage(&store).await;
    for minutes in [20, 35, 50] {
        assert_eq!(asked(stack.at(minutes * MINUTE), &grant).await, Some(UNAVAILABLE));
    }
    for minutes in [65, 80] {
        let expired = asked(stack.at(minutes * MINUTE), &grant).await;
        assert_eq!(expired, Some(RejectionKind::TokenExpired), "the client refreshes");
        assert_eq!(refused(&stack, refresh_token(&grant)).await, UNAVAILABLE);
    }
    unreliable.set_state(State::Up);
    let grant = refreshed(stack.at(99 * MINUTE), &grant).await;
    assert_active(stack.at(100 * MINUTE), &grant).await;
}

pub(crate) async fn p23_a_background_request_in_an_outage_is_no_attempt(store: Store) {
    let (stack, unreliable, grant) = before_an_outage(&store).await;
    for minutes in [15, 24] {
        stack.at(minutes * MINUTE);
        let background = with_header(&grant, ("session-activity", "background"));
        assert_eq!(rejected(&stack.send(background).await), Some(UNAVAILABLE));
    }
    unreliable.set_state(State::Up);
    let idle = Some(RejectionKind::SessionExpiredIdle);
    assert_eq!(asked(stack.at(30 * MINUTE), &grant).await, idle);
}

fn with_header(grant: &Grant, (name, value): (&str, &str)) -> Request<()> {
    let request = by(Method::GET, grant.access_token()).header(name, value);
    request.body(()).expect("a request")
}
