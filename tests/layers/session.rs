//! What a handler can do with its session: sign out, replace claims, read claims.

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
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(policy, |builder| builder.store(Arc::clone(&store)));
    (stack, store)
}

fn always() -> Policy {
    patient().to_builder().renew_always().build().expect("a legal configuration")
}

fn session(request: &Request<()>) -> Session {
    request.extensions().get::<Session>().expect("authenticated").clone()
}

/// The session that a handler gets for a request with `token`.
async fn session_of(stack: &TestStack, token: &str) -> Session {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let handler = move |request: Request<()>| {
        *keep.lock().expect("not poisoned") = Some(session(&request));
        std::future::ready(ok())
    };
    assert_eq!(rejected(&stack.send_to(handler, with(token)).await), None);
    kept.lock().expect("not poisoned").take().expect("the handler ran")
}

#[tokio::test]
async fn p04_the_tombstone_is_written_before_sign_out_returns() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Pending] {
        let (stack, store) = stored(patient());
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        store.behave(behavior);
        session.sign_out().await.expect("the session is revoked");
        let response = stack.get(&token).await;
        assert_eq!(rejected(&response), Some(RejectionKind::SessionRevoked), "{behavior:?}");
    }
}

#[tokio::test]
async fn p04_no_renewal_follows_a_sign_out_even_a_failed_one() {
    for behavior in [StoreBehavior::Ready, StoreBehavior::Failing] {
        let (stack, store) = stored(always());
        let token = stack.sign_in().await;
        let handler = async |request: Request<()>| {
            store.behave(behavior);
            let ended = session(&request).sign_out().await;
            assert_eq!(ended.is_ok(), behavior == StoreBehavior::Ready);
            store.behave(StoreBehavior::Ready);
            ok()
        };
        let response = stack.send_to(handler, with(&token)).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None), "{behavior:?}");
    }
}

#[tokio::test]
async fn p04_claims_replaced_with_a_sign_out_are_not_minted() {
    let stack = TestStack::new(always());
    let token = stack.sign_in().await;
    let handler = async |request: Request<()>| {
        let session = session(&request);
        session.replace_claims(&json!({ "role": "admin" })).expect("an object");
        session.sign_out().await.expect("the session is revoked");
        session.replace_claims(&json!({ "role": "admin" })).expect("an object");
        ok()
    };
    assert_eq!(renewed(&stack.send_to(handler, with(&token)).await), None);
}

fn is_503(ended: Result<(), Rejection>) -> bool {
    let rejection = ended.expect_err("the store fails");
    assert_eq!(rejection.kind(), RejectionKind::StoreUnavailable);
    rejection.kind().status() == http::StatusCode::SERVICE_UNAVAILABLE
}

#[tokio::test]
async fn p23_a_sign_out_that_the_store_refuses_is_a_503() {
    let (stack, store) = stored(patient());
    let token = stack.sign_in().await;
    let session = session_of(&stack, &token).await;
    store.behave(StoreBehavior::Failing);
    assert!(is_503(session.sign_out().await));
    assert!(is_503(stack.sessions.revoke(session.id()).await));
}

#[tokio::test]
async fn p23_sign_out_fails_after_5_s_without_an_answer() {
    for (wait, expected) in [(LIMIT - MILLI, false), (LIMIT, true)] {
        let (stack, store) = stored(patient());
        let token = stack.sign_in().await;
        let session = session_of(&stack, &token).await;
        store.behave(StoreBehavior::NeverAnswering);
        let mut end = pin!(session.sign_out());
        let mut polled = std::future::poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx))).await;
        assert!(polled.is_pending(), "the store never answers");
        stack.clock.advance(wait);
        polled = std::future::poll_fn(|cx| Poll::Ready(end.as_mut().poll(cx))).await;
        match polled {
            Poll::Ready(ended) => assert!(expected && is_503(ended), "{wait:?}"),
            Poll::Pending => assert!(!expected, "{wait:?}"),
        }
    }
}

#[tokio::test]
async fn sign_out_without_a_store_fails() {
    let session =
        Session::builder("ada").sid("s1").auth_time(BEGIN).build().expect("a complete session");
    assert!(is_503(session.sign_out().await));
}

/// A handler that makes the user an admin.
async fn promote(request: Request<()>) -> http::Response<String> {
    session(&request).replace_claims(&json!({ "role": "admin" })).expect("an object");
    ok()
}

async fn sign_in_as_guest(stack: &TestStack) -> String {
    let start = stack.sessions.start("ada").claims(&json!({ "role": "guest", "theme": "dark" }));
    start.await.expect("the session starts").access_token().to_owned()
}

#[tokio::test]
async fn replaced_claims_are_minted_at_once_whatever_the_limiter() {
    let stack = TestStack::new(patient());
    let mut token = sign_in_as_guest(&stack).await;
    for second in 1..4 {
        stack.at(Duration::from_secs(second));
        let response = stack.send_to(promote, with(&token)).await;
        let successor = renewed(&response).expect("renewed whatever threshold and limiter say");
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
async fn replaced_claims_are_not_minted_on_an_error_response() {
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
async fn p17_a_background_mint_carries_the_last_activity_in_seen() {
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
async fn registered_and_session_claims_cannot_be_replaced() {
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
async fn invalid_replaced_claims_mint_nothing() {
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
    let borrowed: Borrowed<'_> = session.claims().expect("matching claims");
    assert_eq!((borrowed.sub, borrowed.role), ("ada", "guest"));
    let owned: Owned = session.claims().expect("matching claims");
    drop(session.clone());
    assert_eq!(owned, Owned { role: "guest".to_owned(), theme: Some("dark".to_owned()) });
    assert!(session.claims::<Other>().is_err());
}

#[tokio::test]
async fn a_session_returns_its_times() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let session = session_of(stack.at(HOUR / 2), &token).await;
    assert_eq!(session.arrived_at(), Some(BEGIN + HOUR / 2));
    assert_eq!(session.last_activity(), BEGIN + HOUR / 2);
    let deadlines = session.deadlines().expect("deadlines of a checked session");
    assert_eq!(deadlines.absolute, BEGIN + 12 * HOUR);
    assert_eq!(deadlines.idle, Some(BEGIN + HOUR / 2 + 12 * HOUR));
    let unseen = Session::builder("ada").sid("s").auth_time(Timestamp::from_secs(1)).build();
    assert_eq!(unseen.expect("a complete session").deadlines(), None);
}
