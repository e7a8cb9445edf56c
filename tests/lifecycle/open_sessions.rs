//! Streams and tasks that wait for the end of their session.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Method, Request};
use serde_json::json;
use tower_sliding_session::{
    Clock as _, Grant, Policy, RejectionKind, Session, SessionEnded, SessionEvent, SessionWatch,
    policy::TimeoutOverrides,
    store::{Exempt, MemoryStore, SessionStore as _},
};

use crate::{
    client::{ada, asked, details, refreshed, service_of, session, sign_in},
    empty_stores::Store,
    test_stack::{BEGIN, HOUR, MILLI, MINUTE, TestStack, by, ok, with},
    unreliable_store::{State, UnreliableStore},
};

const IDLE: Duration = Duration::from_secs(20 * 60);
const LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Token lifetime 10 minutes, idle timeout 20, absolute timeout 2 hours.
fn policy() -> Policy {
    let policy = Policy::builder().token_lifetime(LIFETIME).idle_timeout(IDLE);
    policy.absolute_timeout(2 * HOUR).build().expect("a legal configuration")
}

fn stack_of(store: &Store) -> TestStack {
    service_of(policy(), store, |builder| builder)
}

/// How late a stream over `store` notices that its session is idle.
fn delay(store: &Store) -> Duration {
    store.activity_delay(IDLE)
}

/// The session that a handler sees in a request with `token`.
pub(crate) async fn seen_by_handler(stack: &TestStack, request: Request<()>) -> Session {
    let seen = Arc::new(Mutex::new(None));
    let handler = {
        let seen = Arc::clone(&seen);
        move |request: Request<()>| {
            *seen.lock().expect("not poisoned") = Some(session(&request));
            std::future::ready(ok())
        }
    };
    stack.send_to(handler, request).await;
    let seen = seen.lock().expect("not poisoned").take();
    seen.expect("the request reached the handler")
}

async fn open(stack: &TestStack, grant: &Grant) -> Session {
    seen_by_handler(stack, with(grant.access_token())).await
}

fn poll(ended: &mut SessionEnded) -> Poll<RejectionKind> {
    Pin::new(ended).poll(&mut Context::from_waker(Waker::noop()))
}

fn assert_open(ended: &mut SessionEnded) {
    assert_eq!(poll(ended), Poll::Pending);
}

/// The reason, which must come without a step of the clock.
async fn reason(ended: impl Future<Output = RejectionKind>) -> RejectionKind {
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the session has ended")
}

fn assert_nothing_is_left(stack: &TestStack, store: &Store) {
    let revocations = store.revocations().expect("the store supports them");
    assert_eq!((revocations.open_streams(), stack.clock.waiting_timers()), (0, 0));
}

pub(crate) async fn p18_a_session_ends_at_its_idle_deadline(store: Store) {
    let stack = stack_of(&store);
    let mut ended = open(&stack, &ada(&stack).await).await.ended();
    assert_open(&mut ended);
    let end = IDLE + delay(&store);
    stack.at(end - MILLI);
    assert_open(&mut ended);
    stack.at(end);
    assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
    assert_nothing_is_left(&stack, &store);
    let rejected = details(&stack, "session_expired").await;
    assert_eq!(rejected.len(), 1, "{rejected:?}");
}

pub(crate) async fn p18_a_session_ends_at_its_absolute_deadline(store: Store) {
    let stack = stack_of(&store);
    let session = open(&stack, &ada(&stack).await).await;
    let mut ended = session.ended();
    for minutes in (0..120).step_by(15) {
        stack.at(minutes * MINUTE);
        assert_open(&mut ended);
        session.touch().await.expect("the session is active");
    }
    stack.at(2 * HOUR - MILLI);
    assert_open(&mut ended);
    stack.at(2 * HOUR);
    assert_eq!(reason(ended).await, RejectionKind::SessionExpiredAbsolute);
    let refused = session.touch().await.expect_err("the session has ended");
    assert_eq!(refused.kind(), RejectionKind::SessionExpiredAbsolute);
    assert_nothing_is_left(&stack, &store);
}

pub(crate) async fn p36_activity_elsewhere_moves_the_deadline_whatever_the_token(store: Store) {
    let stack = stack_of(&store);
    let mut grant = ada(&stack).await;
    let mut ended = open(&stack, &grant).await.ended();
    for minutes in (9..=90).step_by(9) {
        stack.at(minutes * MINUTE);
        assert_open(&mut ended);
        grant = refreshed(&stack, &grant).await;
        assert_eq!(asked(&stack, &grant).await, None);
    }
    let end = 90 * MINUTE + IDLE + delay(&store);
    stack.at(end - MILLI);
    assert_open(&mut ended);
    stack.at(end);
    assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
}

pub(crate) async fn p36_an_activity_just_before_the_deadline_wins(store: Store) {
    let stack = stack_of(&store);
    let session = open(&stack, &ada(&stack).await).await;
    let mut ended = session.ended();
    assert_open(&mut ended);
    stack.at(IDLE - MILLI);
    session.touch().await.expect("the session is active");
    stack.at(IDLE + delay(&store));
    assert_open(&mut ended);
    stack.at(2 * IDLE - MILLI + delay(&store));
    assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
    let refused = session.touch().await.expect_err("the session has ended");
    assert_eq!(refused.kind(), RejectionKind::SessionExpiredIdle);
}

pub(crate) async fn p17_background_requests_move_no_deadline(store: Store) {
    let stack = stack_of(&store);
    let grant = ada(&stack).await;
    let background = || {
        let request =
            by(Method::GET, grant.access_token()).header("session-activity", "background");
        request.body(()).expect("a request")
    };
    let mut ended = seen_by_handler(&stack, background()).await.ended();
    for minutes in [3, 6, 9] {
        stack.at(minutes * MINUTE);
        assert_open(&mut ended);
        stack.send(background()).await;
    }
    stack.at(IDLE + delay(&store));
    assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
}

pub(crate) async fn p18_each_way_to_revoke_ends_the_session_at_once(store: Store) {
    let stack = stack_of(&store);
    let sessions = &stack.sessions;
    for way in 0..5 {
        let grant = ada(&stack).await;
        let session = open(&stack, &grant).await;
        let waiting = [session.ended(), session.ended()].map(tokio::spawn);
        tokio::task::yield_now().await;
        match way {
            0 => session.sign_out().await.expect("the session is revoked"),
            1 => {
                sessions.revoke(grant.session_id()).await.expect("the session is revoked");
            }
            2..=4 => {
                let scope = match way {
                    2 => sessions.user_scope(Some("acme"), "ada"),
                    3 => sessions.account_scope("acme"),
                    _ => sessions.everything(),
                };
                sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
            }
            _ => unreachable!(),
        }
        for ended in waiting {
            let ended = async { ended.await.expect("no panic") };
            assert_eq!(reason(ended).await, RejectionKind::SessionRevoked, "{way}");
        }
        // One that begins to wait too late hears of it as well.
        assert_eq!(reason(session.ended()).await, RejectionKind::SessionRevoked, "{way}");
        stack.clock.advance(MILLI);
    }
    assert_nothing_is_left(&stack, &store);
}

pub(crate) async fn p18_a_bulk_revocation_ends_no_exempt_and_no_other_session(store: Store) {
    let stack = stack_of(&store);
    let (first, second) = (ada(&stack).await, ada(&stack).await);
    let bob = sign_in(&stack, "bob", "acme").await;
    let mut ended = Vec::new();
    for grant in [&first, &second, &bob] {
        ended.push(open(&stack, grant).await.ended());
    }
    ended.iter_mut().for_each(assert_open);
    let exempt = Exempt::Sessions(vec![stack.sessions.session_key(first.session_id())]);
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    stack.sessions.revoke_all(scope, exempt).await.expect("the session is revoked");
    let revoked = ended.remove(1);
    assert_eq!(reason(revoked).await, RejectionKind::SessionRevoked);
    ended.iter_mut().for_each(assert_open);
    drop(ended);
    assert_nothing_is_left(&stack, &store);
}

pub(crate) async fn p20_a_shortened_account_policy_ends_the_session_earlier(store: Store) {
    let stack = service_of(policy(), &store, |builder| builder);
    let mut ended = open(&stack, &ada(&stack).await).await.ended();
    assert_open(&mut ended);
    let short = Duration::from_secs(5 * 60);
    stack
        .sessions
        .change_account_policy("acme", |_| TimeoutOverrides::new().idle(short))
        .await
        .expect("the policy is changed");
    assert_open(&mut ended);
    let end = short + store.activity_delay(short);
    stack.at(end - MILLI);
    assert_open(&mut ended);
    stack.at(end);
    assert_eq!(reason(ended).await, RejectionKind::SessionExpiredIdle);
}

pub(crate) async fn p23_an_outage_of_30_s_at_the_deadline_is_unavailable(store: Store) {
    let unreliable = UnreliableStore::new(Arc::clone(&store));
    let as_store: Store = Arc::clone(&unreliable) as _;
    let stack = stack_of(&as_store);
    for recovers in [true, false] {
        let session = open(&stack, &ada(&stack).await).await;
        let begin = stack.clock.now();
        let mut ended = session.ended();
        assert_open(&mut ended);
        unreliable.set_state(State::Failing);
        for second in 0..30 {
            stack.clock.set(begin + IDLE + Duration::from_secs(second));
            assert_open(&mut ended);
        }
        if recovers {
            unreliable.set_state(State::Up);
        }
        stack.clock.advance(Duration::from_secs(1));
        let expected = if recovers {
            RejectionKind::SessionExpiredIdle
        } else {
            RejectionKind::StoreUnavailable
        };
        assert_eq!(reason(ended).await, expected);
        unreliable.set_state(State::Up);
    }
}

pub(crate) async fn p23_a_revocation_ends_a_session_whose_store_fails(store: Store) {
    let unreliable = UnreliableStore::new(Arc::clone(&store));
    let as_store: Store = Arc::clone(&unreliable) as _;
    let stack = stack_of(&as_store);
    let grant = ada(&stack).await;
    let mut ended = open(&stack, &grant).await.ended();
    assert_open(&mut ended);
    unreliable.set_state(State::Failing);
    // As another node does it.
    let scope = stack.sessions.user_scope(Some("acme"), "ada");
    let other = stack_of(&store);
    other.sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
    assert_eq!(reason(ended).await, RejectionKind::SessionRevoked);
}

async fn next(watch: &mut SessionWatch) -> SessionEvent {
    let next = tokio::time::timeout(Duration::from_secs(20), watch.next()).await;
    next.expect("an event").expect("it is not over")
}

fn assert_silent(watch: &mut SessionWatch) {
    let event = watch.poll_next(&mut Context::from_waker(Waker::noop()));
    assert!(event.is_pending(), "{event:?}");
}

pub(crate) async fn a_watch_tells_of_renewals_the_coming_end_and_the_end(store: Store) {
    let stack = stack_of(&store);
    let grant = stack.sessions.start("ada").tenant("acme").claims(&json!({ "role": "reader" }));
    let grant = grant.await.expect("the session starts");
    let session = open(&stack, &grant).await;
    let mut watch = session.watch();
    assert_silent(&mut watch);
    stack.at(6 * MINUTE);
    let renewing = async |request: Request<()>| {
        let session = crate::client::session(&request);
        session.replace_claims(&json!({ "role": "editor" })).expect("an object");
        ok()
    };
    stack.send_to(renewing, with(grant.access_token())).await;
    let SessionEvent::Renewed(renewed) = next(&mut watch).await else { panic!("a renewal") };
    let claims: serde_json::Value = renewed.claims().expect("claims");
    assert_eq!((renewed.id(), &claims["role"]), (grant.session_id(), &json!("editor")));
    assert_silent(&mut watch);

    let end = IDLE + delay(&store);
    stack.at(6 * MINUTE + end - MINUTE - MILLI);
    assert_silent(&mut watch);
    stack.at(6 * MINUTE + end - MINUTE);
    let SessionEvent::Ending(within) = next(&mut watch).await else { panic!("a warning") };
    assert_eq!(within, MINUTE);
    assert_silent(&mut watch);
    session.touch().await.expect("the session is active");
    let last = 6 * MINUTE + end - MINUTE;
    stack.at(last + MINUTE);
    assert_silent(&mut watch);
    stack.at(last + end - MINUTE);
    let SessionEvent::Ending(within) = next(&mut watch).await else { panic!("a warning") };
    assert_eq!(within, MINUTE);
    stack.at(last + end);
    let SessionEvent::Ended(reason) = next(&mut watch).await else { panic!("the end") };
    assert_eq!(reason, RejectionKind::SessionExpiredIdle);
    assert!(watch.next().await.is_none());
    assert_nothing_is_left(&stack, &store);
}

#[tokio::test]
async fn p36_the_token_ends_a_session_that_no_store_knows() {
    let stores: [Store; 2] = [Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())];
    let grant = ada(&stack_of(&stores[0])).await;
    let stack = stack_of(&stores[1]);
    let background = by(Method::GET, grant.access_token()).header("session-activity", "background");
    let request = background.body(()).expect("a request");
    let session = seen_by_handler(&stack, request).await;
    let mut ended = session.ended();
    assert_open(&mut ended);
    stack.at(LIFETIME - MILLI);
    assert_open(&mut ended);
    stack.at(LIFETIME);
    assert_eq!(reason(ended).await, RejectionKind::TokenExpired);
    let refused = session.touch().await.expect_err("the token begins no session");
    assert_eq!(refused.kind(), RejectionKind::TokenExpired);
}

#[tokio::test]
async fn p18_a_race_of_revocations_and_waiting_leaves_nobody_waiting() {
    let store: Store = Arc::new(MemoryStore::new());
    let stack = stack_of(&store);
    for round in 0..500 {
        let grant = ada(&stack).await;
        let session = open(&stack, &grant).await;
        let waiting = tokio::task::spawn_blocking(move || {
            // Registered on another thread, at the same time as the revocation.
            let mut ended = session.ended();
            let first = poll(&mut ended);
            (first, ended)
        });
        stack.sessions.revoke(grant.session_id()).await.expect("the session is revoked");
        let (first, mut ended) = waiting.await.expect("no panic");
        let second = if first.is_pending() { poll(&mut ended) } else { first };
        assert_eq!(second, Poll::Ready(RejectionKind::SessionRevoked), "{round}");
    }
    assert_nothing_is_left(&stack, &store);
}

#[tokio::test]
async fn a_session_that_no_layer_has_checked_does_not_end() {
    let session = Session::builder("ada").sid("s1").auth_time(BEGIN).build().expect("a session");
    let mut ended = session.ended();
    assert_open(&mut ended);
    assert!(session.watch().next().await.is_none());
    let refused = session.touch().await.expect_err("no store");
    assert_eq!(refused.kind(), RejectionKind::StoreUnavailable);
}
