//! What a handler may do with its session: end it, replace its claims, read them.

use std::{pin::pin, sync::Arc, task::Poll, time::Duration};

use http::{Method, Request};
use serde::Deserialize;
use serde_json::json;
use tower_sliding_session::{Policy, Rejection, RejectionKind, Session, Timestamp};

use crate::test_stack::{
    BEGIN, HOUR, MILLI, MINUTE, TestStack, by, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    ok, patient, rejected, renewed, with,
};

const LIMIT: Duration = Duration::from_secs(5);

fn stored(policy: Policy) -> (TestStack, Arc<FaultyStore>) {
    let store = Arc::new(FaultyStore::new(StoreBehavior::AtHand));
    let stack = TestStack::with(policy, |builder| builder.store(Arc::clone(&store)));
    (stack, store)
}

fn always() -> Policy {
    patient().to_builder().renew_always().build().expect("consistent")
}

fn session(request: &Request<()>) -> Session {
    request.extensions().get::<Session>().expect("authenticated").clone()
}

/// The session of a request with `token`, checked and past its layers.
async fn session_of(stack: &TestStack, token: &str) -> Session {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let handler = move |request: Request<()>| {
        *keep.lock().expect("not poisoned") = Some(session(&request));
        std::future::ready(ok())
    };
    assert_eq!(rejected(&stack.send_to(handler, with(token)).await), None);
    kept.lock().expect("not poisoned").take().expect("handled")
}

#[tokio::test]
async fn p04_the_tombstone_stands_before_end_returns() {
    for behavior in [StoreBehavior::AtHand, StoreBehavior::OnItsWay] {
        let (stack, store) = stored(patient());
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        store.turn(behavior);
        session.sign_out().await.expect("ended");
        let response = stack.get(&token).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked), "{behavior:?}");
    }
}

#[tokio::test]
async fn p04_no_renewal_follows_an_end_that_was_heard_or_not() {
    for behavior in [StoreBehavior::AtHand, StoreBehavior::Failing] {
        let (stack, store) = stored(always());
        let token = stack.sign_in().await;
        let handler = async |request: Request<()>| {
            store.turn(behavior);
            let ended = session(&request).sign_out().await;
            assert_eq!(ended.is_ok(), behavior == StoreBehavior::AtHand);
            store.turn(StoreBehavior::AtHand);
            ok()
        };
        let response = stack.send_to(handler, with(&token)).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None), "{behavior:?}");
    }
}

#[tokio::test]
async fn p04_claims_replaced_beside_an_end_are_not_minted() {
    let stack = TestStack::new(always());
    let token = stack.sign_in().await;
    let handler = async |request: Request<()>| {
        let session = session(&request);
        session.replace_claims(&json!({ "role": "admin" })).expect("an object");
        session.sign_out().await.expect("ended");
        session.replace_claims(&json!({ "role": "admin" })).expect("an object");
        ok()
    };
    assert_eq!(renewed(&stack.send_to(handler, with(&token)).await), None);
}

fn is_503(ended: Result<(), Rejection>) -> bool {
    let rejection = ended.expect_err("the store did not take it");
    assert_eq!(rejection.kind(), RejectionKind::StoreUnavailable);
    rejection.kind().status() == http::StatusCode::SERVICE_UNAVAILABLE
}

#[tokio::test]
async fn p23_an_end_that_a_store_refuses_is_a_503() {
    let (stack, store) = stored(patient());
    let token = stack.sign_in().await;
    let session = session_of(&stack, &token).await;
    store.turn(StoreBehavior::Failing);
    assert!(is_503(session.sign_out().await));
    assert!(is_503(stack.sessions.revoke(session.id()).await));
}

#[tokio::test]
async fn p23_a_silent_store_is_given_up_at_5_s() {
    for (wait, expected) in [(LIMIT - MILLI, false), (LIMIT, true)] {
        let (stack, store) = stored(patient());
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        store.turn(StoreBehavior::Silent);
        let mut end = pin!(session.sign_out());
        let mut polled = std::future::poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx))).await;
        assert!(polled.is_pending(), "the store is silent");
        stack.clock.advance(wait);
        polled = std::future::poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx))).await;
        match polled {
            Poll::Ready(ended) => assert!(expected && is_503(ended), "{wait:?}"),
            Poll::Pending => assert!(!expected, "{wait:?}"),
        }
    }
}

#[tokio::test]
async fn a_session_that_no_store_knows_cannot_be_ended() {
    let session = Session::builder("ada").sid("s1").auth_time(BEGIN).build().expect("complete");
    assert!(is_503(session.sign_out().await));
}

/// A handler that makes the user an admin.
async fn promote(request: Request<()>) -> http::Response<String> {
    session(&request).replace_claims(&json!({ "role": "admin" })).expect("an object");
    ok()
}

async fn sign_in_as_guest(stack: &TestStack) -> String {
    let start = stack.sessions.start("ada").claims(&json!({ "role": "guest", "theme": "dark" }));
    start.await.expect("started").access_token().to_owned()
}

#[tokio::test]
async fn replaced_claims_are_minted_at_once_and_again_within_the_rate() {
    let stack = TestStack::new(patient());
    let mut token = sign_in_as_guest(&stack).await;
    for second in 1..4 {
        stack.at(Duration::from_secs(second));
        let response = stack.send_to(promote, with(&token)).await;
        let successor = renewed(&response).expect("whatever the threshold and the rate");
        let (old, new) = (claims(&token), claims(&successor));
        assert_eq!((&new["role"], new.get("theme")), (&json!("admin"), None));
        assert_eq!(new["iat"], BEGIN.as_secs() + second);
        assert_ne!(new["jti"], old["jti"]);
        for kept in ["sub", "sid", "auth_time", "epoch", "idle_max", "abs_max"] {
            assert_eq!(new[kept], old[kept], "{kept}");
        }
        token = successor;
    }
}

#[tokio::test]
async fn replaced_claims_are_not_minted_onto_a_failure() {
    let stack = TestStack::new(patient());
    let token = sign_in_as_guest(&stack).await;
    let handler = async |request: Request<()>| {
        let mut response = promote(request).await;
        *response.status_mut() = http::StatusCode::CONFLICT;
        response
    };
    let response = stack.send_to(handler, with(&token)).await;
    assert_eq!(renewed(&response), None);
}

#[tokio::test]
async fn p17_under_background_the_mint_says_when_the_user_was_last_seen() {
    let stack = TestStack::new(patient());
    let token = sign_in_as_guest(&stack).await;
    assert_eq!(rejected(&stack.at(2 * MINUTE).get(&token).await), None);
    stack.at(10 * MINUTE);
    let poll = by(Method::GET, &token).header("session-activity", "background").body(());
    let response = stack.send_to(promote, poll.expect("a request")).await;
    let successor = renewed(&response).expect("minted");
    assert_eq!(claims(&successor)["iat"], (BEGIN + 10 * MINUTE).as_secs());
    assert_eq!(claims(&successor)["seen"], (BEGIN + 2 * MINUTE).as_secs());
    let response = stack.send_to(promote, with(&successor)).await;
    let active = renewed(&response).expect("minted");
    assert_eq!(claims(&active).get("seen"), None, "this mint is activity");
}

#[tokio::test]
async fn the_sessions_own_claims_cannot_be_replaced() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let session = session_of(&stack, &token).await;
    for name in [
        "sub",
        "sid",
        "iss",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "tenant",
        "auth_time",
        "idle_max",
        "abs_max",
        "session_profile",
        "epoch",
        "seen",
    ] {
        let error = session.replace_claims(&json!({ "role": 1, name: 1 })).expect_err(name);
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
    for no_object in [json!(null), json!([]), json!("role"), json!(1)] {
        assert!(session.replace_claims(&no_object).is_err(), "{no_object}");
    }
}

#[tokio::test]
async fn a_refused_replacement_mints_nothing() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let handler = async |request: Request<()>| {
        assert!(session(&request).replace_claims(&json!({ "sub": "eve" })).is_err());
        ok()
    };
    assert_eq!(renewed(&stack.send_to(handler, with(&token)).await), None);
}

#[derive(Deserialize)]
struct Borrowed<'a> {
    sub: &'a str,
    role: &'a str,
}

#[derive(Deserialize, PartialEq, Eq, Debug)]
struct Owned {
    role: String,
    theme: Option<String>,
}

#[derive(Deserialize)]
struct Other {
    #[allow(dead_code, reason = "it is never there")]
    role: u64,
}

#[tokio::test]
async fn claims_are_read_borrowed_or_owned() {
    let stack = TestStack::new(patient());
    let token = sign_in_as_guest(&stack).await;
    let session = session_of(&stack, &token).await;
    let borrowed: Borrowed<'_> = session.claims().expect("they fit");
    assert_eq!((borrowed.sub, borrowed.role), ("ada", "guest"));
    let owned: Owned = session.claims().expect("they fit");
    drop(session.clone());
    assert_eq!(owned, Owned { role: "guest".to_owned(), theme: Some("dark".to_owned()) });
    assert!(session.claims::<Other>().is_err());
}

#[tokio::test]
async fn a_session_tells_its_times() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let session = session_of(stack.at(HOUR / 2), &token).await;
    assert_eq!(session.arrived_at(), Some(BEGIN + HOUR / 2));
    assert_eq!(session.last_activity(), BEGIN + HOUR / 2);
    let deadlines = session.deadlines().expect("a policy has seen it");
    assert_eq!(deadlines.absolute, BEGIN + 12 * HOUR);
    assert_eq!(deadlines.idle, Some(BEGIN + HOUR / 2 + 12 * HOUR));
    let unseen = Session::builder("ada").sid("s").auth_time(Timestamp::from_secs(1)).build();
    assert_eq!(unseen.expect("complete").deadlines(), None);
}
