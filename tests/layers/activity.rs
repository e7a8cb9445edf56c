//! Idle and absolute timeouts, revocation, and stores that are slow or fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, StatusCode};
use tower_sliding_session::{
    Clock as _, JwtKeys, ManualClock, MaybeReady, Policy, RejectionKind, Session, SlidingSessions,
    identity::SessionKeys,
    layers::{OnStoreFailure, UnknownSessions},
    store::{SessionStore, StoredSession, Tombstone, Touch, TouchOutcome},
};

use crate::test_stack::{
    Answer, BEGIN, HOUR, MILLI, MINUTE, SECRET, TestStack, by, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    ok, patient, rejected, renewed, signed, text, with,
};

const IDLE: Duration = Duration::from_secs(20 * 60);
const LIMIT: Duration = Duration::from_millis(250);
const SLOW: Duration = Duration::from_millis(200);

fn usual() -> Policy {
    Policy::builder().build().expect("a legal configuration")
}

fn idle_hour() -> Policy {
    Policy::builder()
        .idle_timeout(HOUR)
        .token_lifetime(12 * HOUR)
        .build()
        .expect("a legal configuration")
}

fn stored(policy: Policy, behavior: StoreBehavior) -> (TestStack, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore::new(behavior));
    let stack = TestStack::with(policy, |builder| builder.store(Arc::clone(&store)));
    (stack, store)
}

#[tokio::test]
async fn a_session_expires_at_the_millisecond_of_its_idle_timeout() {
    for (after, expected) in [
        (IDLE - MILLI, None),
        (IDLE, Some(RejectionKind::SessionExpiredIdle)),
        (IDLE + MILLI, Some(RejectionKind::SessionExpiredIdle)),
    ] {
        let stack = TestStack::new(usual());
        let token = stack.sign_in().await;
        assert_eq!(rejected(&stack.at(after).get(&token).await), expected, "{after:?}");
    }
}

#[tokio::test]
async fn activity_is_recorded_in_milliseconds() {
    let stack = TestStack::new(usual());
    let token = stack.sign_in().await;
    let seen = Duration::from_millis(700_333);
    assert_eq!(rejected(&stack.at(seen).get(&token).await), None);
    assert_eq!(rejected(&stack.at(seen + IDLE - MILLI).get(&token).await), None);
    let last = seen + IDLE - MILLI;
    let expired = Some(RejectionKind::SessionExpiredIdle);
    assert_eq!(rejected(&stack.at(last + IDLE).get(&token).await), expired);
}

#[tokio::test]
async fn a_session_expires_at_the_millisecond_of_its_absolute_timeout() {
    let policy = Policy::builder()
        .idle_timeout(HOUR)
        .absolute_timeout(HOUR)
        .token_lifetime(HOUR)
        .build()
        .expect("a legal configuration");
    for (after, expected) in [
        (HOUR - MILLI, None),
        (HOUR, Some(RejectionKind::SessionExpiredAbsolute)),
        (HOUR + MILLI, Some(RejectionKind::SessionExpiredAbsolute)),
    ] {
        let stack = TestStack::new(policy.clone());
        let token = stack.sign_in().await;
        assert_eq!(rejected(&stack.at(after).get(&token).await), expected, "{after:?}");
    }
}

#[tokio::test]
async fn a_request_after_the_idle_timeout_is_not_activity() {
    let stack = TestStack::new(idle_hour());
    let token = stack.sign_in().await;
    for _ in 0..2 {
        let late = stack.at(HOUR).get(&token).await;
        assert_eq!(rejected(&late), Some(RejectionKind::SessionExpiredIdle));
    }
}

#[tokio::test]
async fn p17_polling_does_not_extend_a_session() {
    let polls =
        [by(Method::GET, "").header("session-activity", "background"), by(Method::OPTIONS, "")];
    for poll in polls {
        let stack = TestStack::new(usual());
        let token = stack.sign_in().await;
        let mut poll = poll.body(()).expect("a request");
        poll.headers_mut().insert("authorization", with(&token).headers()["authorization"].clone());
        for minute in 1..20 {
            let polled = stack.at(minute * MINUTE).send(poll.clone()).await;
            assert_eq!(rejected(&polled), None, "{} at {minute}", poll.method());
        }
        let expired = stack.at(IDLE).send(poll.clone()).await;
        assert_eq!(rejected(&expired), Some(RejectionKind::SessionExpiredIdle));
        assert!(rejected(&stack.get(&token).await).is_some());
    }
}

#[tokio::test]
async fn p27_head_is_activity_like_get() {
    let stack = TestStack::new(usual());
    let token = stack.sign_in().await;
    let head = by(Method::HEAD, &token).body(()).expect("a request");
    assert_eq!(rejected(&stack.at(10 * MINUTE).send(head).await), None);
    assert_eq!(rejected(&stack.at(29 * MINUTE).get(&token).await), None);
}

#[tokio::test]
async fn p17_a_background_request_does_not_begin_an_entry() {
    let (stack, store) = stored(usual(), StoreBehavior::Ready);
    let token = stack.sign_in().await;
    let started = store.touches();
    let poll = by(Method::GET, &token).header("session-activity", "background").body(());
    assert_eq!(rejected(&stack.send(poll.expect("a request")).await), None);
    assert_eq!((store.touches(), store.gets()), (started, 1));
}

#[tokio::test]
async fn p04_a_revoked_session_stays_revoked() {
    let stack = TestStack::new(usual());
    let token = stack.sign_in().await;
    let sid = claims(&token)["sid"].as_str().expect("a name").to_owned();
    assert_eq!(rejected(&stack.get(&token).await), None);
    stack.sessions.revoke(&sid).await.expect("the session is revoked");
    for after in [Duration::ZERO, MINUTE, HOUR, 12 * HOUR - MILLI] {
        let response = stack.at(after).get(&token).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked), "{after:?}");
    }
}

#[tokio::test]
async fn p12_a_clock_that_steps_back_does_not_shorten_a_session() {
    let stack = TestStack::new(usual());
    let token = stack.sign_in().await;
    assert_eq!(rejected(&stack.at(10 * MINUTE).get(&token).await), None);
    assert_eq!(rejected(&stack.at(5 * MINUTE).get(&token).await), None);
    assert_eq!(rejected(&stack.at(30 * MINUTE - MILLI).get(&token).await), None);
}

#[tokio::test]
async fn p20_a_shortened_policy_reaches_live_sessions() {
    let long = Policy::builder()
        .idle_timeout(HOUR)
        .absolute_timeout(2 * HOUR)
        .build()
        .expect("a legal configuration");
    let token = TestStack::new(long).sign_in().await;
    let short = Policy::builder()
        .idle_timeout(10 * MINUTE)
        .absolute_timeout(30 * MINUTE)
        .token_lifetime(30 * MINUTE)
        .build()
        .expect("a legal configuration");
    let expired = Some(RejectionKind::SessionExpiredIdle);
    for (after, expected) in [(10 * MINUTE - MILLI, None), (10 * MINUTE, expired)] {
        let stack = TestStack::new(short.clone());
        assert_eq!(rejected(&stack.get(&token).await), None);
        assert_eq!(rejected(&stack.at(after).get(&token).await), expected, "{after:?}");
    }
}

#[tokio::test]
async fn p20_a_lengthened_policy_revives_no_expired_session() {
    let token = TestStack::new(usual()).sign_in().await;
    let stack = TestStack::new(patient());
    assert_eq!(rejected(&stack.get(&token).await), None);
    let response = stack.at(IDLE).get(&token).await;
    assert_eq!(rejected(&response), Some(RejectionKind::SessionExpiredIdle));
}

#[tokio::test]
async fn an_unknown_session_is_adopted_or_rejected() {
    for (unknown, expected) in [
        (UnknownSessions::Adopt, None),
        (UnknownSessions::Reject, Some(RejectionKind::SessionRevoked)),
    ] {
        let token = TestStack::new(usual()).sign_in().await;
        let restarted = TestStack::with(usual(), |builder| {
            builder.store(FaultyStore::new(StoreBehavior::Ready)).unknown_sessions(unknown)
        });
        assert_eq!(rejected(&restarted.get(&token).await), expected);
        let poll = by(Method::GET, &token).header("session-activity", "background").body(());
        assert_eq!(rejected(&restarted.send(poll.expect("a request")).await), expected);
    }
}

#[tokio::test]
async fn p12_an_iat_in_the_future_counts_as_now() {
    let now = BEGIN.as_secs();
    let token = signed(&format!(
        r#"{{"sub":"ada","sid":"s","auth_time":{now},"iat":{now},"exp":{},"seen":{}}}"#,
        now + 36_000,
        now + 7_200,
    ));
    let stack = TestStack::new(idle_hour());
    for after in [Duration::ZERO, HOUR, 3 * HOUR - MILLI] {
        assert_eq!(rejected(&stack.at(after).get(&token).await), None, "{after:?}");
    }
    let expired = stack.at(4 * HOUR - MILLI).get(&token).await;
    assert_eq!(rejected(&expired), Some(RejectionKind::SessionExpiredIdle));
}

#[tokio::test]
async fn a_ready_answer_is_used_within_call_and_a_pending_one_awaited() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let (stack, store) = stored(usual(), behavior);
        let token = stack.sign_in().await;
        let before = store.touches();
        assert_eq!(rejected(&stack.at(IDLE - MILLI).get(&token).await), None, "{behavior:?}");
        assert_eq!(store.touches(), before + 1, "{behavior:?}");
        let late = stack.at(2 * IDLE - MILLI).get(&token).await;
        assert_eq!(rejected(&late), Some(RejectionKind::SessionExpiredIdle), "{behavior:?}");
    }
}

/// Sends a request and advances the clock by `wait` once the request waits for the store.
async fn waits(stack: TestStack, token: String, wait: Duration) -> Option<Answer> {
    let clock: ManualClock = stack.clock.clone();
    let mut request = Box::pin(async move { stack.get(&token).await });
    let mut answer = poll_once(&mut request).await;
    assert!(answer.is_none(), "the store never answers");
    clock.advance(wait);
    answer = poll_once(&mut request).await;
    answer
}

/// Polls `future` once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn p23_a_store_that_does_not_answer_is_a_503_after_250_ms() {
    for (wait, expected) in [(LIMIT - MILLI, None), (LIMIT, Some(StatusCode::SERVICE_UNAVAILABLE))]
    {
        let (stack, store) = stored(usual(), StoreBehavior::Ready);
        let token = stack.sign_in().await;
        store.behave(StoreBehavior::NeverAnswering);
        let answer = waits(stack, token, wait).await;
        assert_eq!(answer.map(|answer| answer.status()), expected, "{wait:?}");
    }
}

/// A store that takes 200 ms for a touch after the sign-in, answers with these outcomes, and else never.
struct SlowStore {
    clock: ManualClock,
    outcomes: Mutex<Option<VecDeque<Option<TouchOutcome>>>>,
}

impl SessionStore for SlowStore {
    fn touch(&self, _: SessionKeys, _: Touch) -> MaybeReady<TouchOutcome> {
        let mut outcomes = self.outcomes.lock().expect("not poisoned");
        let Some(outcomes) = &mut *outcomes else {
            return MaybeReady::ready(Ok(TouchOutcome::Active(None)));
        };
        let Some(outcome) = outcomes.pop_front().flatten() else {
            return MaybeReady::new(std::future::pending());
        };
        let answered = self.clock.sleep_until(self.clock.now() + SLOW);
        MaybeReady::new(async move {
            answered.await;
            Ok(outcome)
        })
    }

    fn get(&self, _: SessionKeys) -> MaybeReady<StoredSession> {
        MaybeReady::new(std::future::pending())
    }

    fn write_tombstone(&self, _: Tombstone) -> MaybeReady<bool> {
        MaybeReady::ready(Ok(true))
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// A stack over such a store, and the token of a session.
async fn slow(outcomes: impl IntoIterator<Item = Option<TouchOutcome>>) -> (TestStack, String) {
    let clock = ManualClock::new(BEGIN);
    let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
    let policy = Policy::builder().renew_always().build().expect("a legal configuration");
    let store = Arc::new(SlowStore { clock: clock.clone(), outcomes: Mutex::new(None) });
    let sessions = SlidingSessions::builder(keys, policy).clock(clock.clone());
    let sessions = sessions.store(Arc::clone(&store)).build().expect("a legal configuration");
    let stack = TestStack { sessions, clock };
    let token = stack.sign_in().await;
    *store.outcomes.lock().expect("not poisoned") = Some(outcomes.into_iter().collect());
    (stack, token)
}

/// The store is asked once more after the handler, before a token is minted.
#[tokio::test]
async fn p23_a_renewal_waits_for_what_the_request_has_left_of_its_time_limit() {
    let (stack, token) = slow([Some(TouchOutcome::Active(Some(BEGIN)))]).await;
    let mut request = Box::pin(stack.get(&token));
    assert!(poll_once(&mut request).await.is_none());
    for wait in [SLOW, LIMIT - SLOW - MILLI] {
        stack.clock.advance(wait);
        assert!(poll_once(&mut request).await.is_none(), "the store does not answer");
    }
    stack.clock.advance(MILLI);
    let answer = poll_once(&mut request).await.expect("the time limit has passed");
    assert_eq!(rejected(&answer), None);
    assert_eq!(renewed(&answer), None);
}

/// The session has been idle as far as the store knows, and the touch is repeated.
#[tokio::test]
async fn p23_a_touch_that_is_repeated_has_the_same_time_limit() {
    let active = TouchOutcome::Active(Some(BEGIN));
    let (stack, token) = slow([None, Some(TouchOutcome::Idle(BEGIN)), Some(active)]).await;
    for (at, wait) in [(IDLE - MINUTE, LIMIT), (IDLE, SLOW)] {
        let mut request = Box::pin(stack.at(at).get(&token));
        assert!(poll_once(&mut request).await.is_none());
        stack.clock.advance(wait);
        if wait == SLOW {
            assert!(poll_once(&mut request).await.is_none());
            stack.clock.advance(LIMIT - SLOW);
        }
        let answer = poll_once(&mut request).await.expect("the time limit has passed");
        assert_eq!(rejected(&answer), Some(RejectionKind::StoreUnavailable));
    }
}

#[tokio::test]
async fn p16_p23_a_failing_store_is_a_503_and_never_a_401() {
    let (stack, store) = stored(usual(), StoreBehavior::Ready);
    let token = stack.sign_in().await;
    store.behave(StoreBehavior::Failing);
    for request in [with(&token), by(Method::OPTIONS, &token).body(()).expect("a request")] {
        let response = stack.send(request).await;
        assert_eq!(rejected(&response), Some(RejectionKind::StoreUnavailable));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        assert!(!response.headers().contains_key("www-authenticate"));
        assert!(!text(response).await.contains("db.internal"));
    }
    store.behave(StoreBehavior::Ready);
    assert_eq!(rejected(&stack.get(&token).await), None, "the session is active after the outage");
}

#[tokio::test]
async fn p23_a_trusted_token_is_accepted_until_its_exp_and_not_renewed() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(patient(), |builder| {
        builder.store(Arc::clone(&store)).on_store_failure(OnStoreFailure::TrustToken)
    });
    let token = stack.sign_in().await;
    store.behave(StoreBehavior::Failing);
    let recovering = Arc::clone(&store);
    let handler = move |_| {
        recovering.behave(StoreBehavior::Ready);
        std::future::ready(ok())
    };
    let response = stack.at(HOUR - MILLI).send_to(handler, with(&token)).await;
    assert_eq!(rejected(&response), None);
    assert_eq!(renewed(&response), None, "a token accepted without a check is not renewed");
    store.behave(StoreBehavior::Failing);
    let response = stack.at(HOUR).get(&token).await;
    assert_eq!(rejected(&response), Some(RejectionKind::TokenExpired));
}

#[tokio::test]
async fn p23_claims_replaced_in_an_outage_are_not_minted() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(patient(), |builder| {
        builder.store(Arc::clone(&store)).on_store_failure(OnStoreFailure::TrustToken)
    });
    let token = stack.sign_in().await;
    store.behave(StoreBehavior::Failing);
    let recovering = Arc::clone(&store);
    let handler = move |request: http::Request<()>| {
        recovering.behave(StoreBehavior::Ready);
        let session = request.extensions().get::<Session>().expect("authenticated");
        session.replace_claims(&serde_json::json!({ "role": "admin" })).expect("an object");
        std::future::ready(ok())
    };
    assert_eq!(renewed(&stack.send_to(handler, with(&token)).await), None);
}

#[tokio::test]
async fn a_sliding_policy_writes_no_activity_and_expires_with_its_token() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let policy = Policy::sliding(HOUR, 12 * HOUR).expect("a legal configuration");
    let stack = TestStack::with(policy, |builder| builder.store(Arc::clone(&store)));
    let token = stack.sign_in().await;
    assert_eq!(rejected(&stack.at(HOUR - MILLI).get(&token).await), None);
    assert_eq!(store.touches(), 0);
    let expired = stack.at(HOUR).get(&token).await;
    assert_eq!(rejected(&expired), Some(RejectionKind::SessionExpiredIdle));
}
