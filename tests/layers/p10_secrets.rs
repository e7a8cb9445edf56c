//! P10: no token, session or subject in a log line, `Debug` output or error.

use std::sync::{Arc, Mutex};

use http::Request;
use serde_json::json;
use tower_sliding_session::{
    MaybeReady, Rejection, RejectionKind, Session, SessionCookie,
    layers::OnStoreFailure,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::test_stack::{
    HOUR, MILLI, TestStack, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    ok, patient,
    recorded_log::RecordedLog,
    rejected, renewed, text, with,
};

const SUBJECT: &str = "ada-the-telling-subject";
const TENANT: &str = "a-telling-tenant";
const ROLE: &str = "a-telling-role";

/// Fails if `shown` holds a part of `token` or one of its names.
fn assert_silent(shown: &str, token: &str) {
    let claims = claims(token);
    let names = ["sid", "jti"].map(|name| claims[name].as_str().expect("a name").to_owned());
    let secrets = token.split('.').skip(1).chain(names.iter().map(String::as_str));
    for secret in secrets.chain([token, SUBJECT, TENANT, ROLE, "telling"]) {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

async fn sign_in(stack: &TestStack) -> String {
    let start = stack.sessions.start(SUBJECT).tenant(TENANT).claims(&json!({ "role": ROLE }));
    let start = start.label(&json!({ "device": "a-telling-device" }));
    start.await.expect("the session starts").access_token().to_owned()
}

struct Away;

impl ClaimsSource for Away {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        MaybeReady::ready(Err(StoreError::new("the directory is away")))
    }
}

/// A stack whose store and claims source fail, and a token that is due for renewal.
async fn failing(on_failure: OnStoreFailure) -> (TestStack, Arc<FaultyStore>, String) {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(patient(), |builder| {
        builder
            .store(Arc::clone(&store))
            .claims_source(Away)
            .on_store_failure(on_failure)
            .session_expires()
    });
    let token = sign_in(&stack).await;
    stack.at(HOUR / 2 + MILLI);
    (stack, store, token)
}

#[tokio::test]
async fn p10_logs_hold_no_token_session_or_subject() {
    let (log, _recording) = RecordedLog::start();
    let mut tokens = Vec::new();

    let (stack, _, token) = failing(OnStoreFailure::Reject).await;
    assert_eq!(renewed(&stack.get(&token).await), None);
    assert!(log.text().contains("the claims source failed"), "the log is written: {}", log.text());
    tokens.push(token);

    for on_failure in [OnStoreFailure::Reject, OnStoreFailure::TrustToken] {
        let (stack, store, token) = failing(on_failure).await;
        store.behave(StoreBehavior::Failing);
        tokens.push(sign_in(&stack).await);
        let end = async |request: Request<()>| {
            let session = request.extensions().get::<Session>().expect("authenticated");
            session.sign_out().await.expect_err("the store fails");
            ok()
        };
        stack.send_to(end, with(&token)).await;
        stack.get(&token).await;
        let sid = claims(&token)["sid"].as_str().expect("a name").to_owned();
        stack.sessions.revoke(&sid).await.expect_err("the store fails");
        assert!(rejected(&stack.at(13 * HOUR).get(&token).await).is_some());
        tokens.push(token);
    }
    assert!(log.text().contains("the session store failed"), "{}", log.text());

    let stack = TestStack::new(patient());
    let good = sign_in(&stack).await;
    let cut = &good[..good.len() - 2];
    for bad in [cut, &good.replace('.', ".."), &format!("{good}x")] {
        assert_eq!(rejected(&stack.get(bad).await), Some(RejectionKind::InvalidToken));
    }
    stack
        .sessions
        .revoke(claims(&good)["sid"].as_str().expect("a name"))
        .await
        .expect("the session is revoked");
    assert_eq!(rejected(&stack.get(&good).await), Some(RejectionKind::SessionRevoked));
    tokens.push(good);

    for token in tokens {
        assert_silent(&log.text(), &token);
    }
}

#[tokio::test]
async fn p10_a_renewal_logs_no_successor() {
    let (log, _recording) = RecordedLog::start();
    let stack = TestStack::new(patient());
    let token = sign_in(&stack).await;
    let successor = renewed(&stack.at(HOUR / 2 + MILLI).get(&token).await).expect("renewal is due");
    assert_silent(&log.text(), &token);
    assert_silent(&log.text(), &successor);
}

#[tokio::test]
async fn p10_debug_holds_no_token_or_subject() {
    let stack = TestStack::with(patient(), |builder| builder.session_cookie(SessionCookie::new()));
    let start = stack.sessions.start(SUBJECT).tenant(TENANT).claims(&json!({ "role": ROLE }));
    let starting = format!("{start:?}");
    let grant = start.await.expect("the session starts");
    let token = grant.access_token().to_owned();
    let hub = format!("{:?} {:#?}", stack.sessions, stack.sessions.layer());
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let handler = move |request: Request<()>| {
        let session = request.extensions().get::<Session>().expect("authenticated");
        *kept.lock().expect("not poisoned") = format!("{session:?} {session:#?} {request:?}");
        std::future::ready(ok())
    };
    let mut request = Request::new(());
    let cookie = format!("__Host-session={token}").parse().expect("a value");
    request.headers_mut().insert("cookie", cookie);
    let response = stack.at(HOUR / 2 + MILLI).send_to(handler, request).await;
    assert_eq!(rejected(&response), None);
    assert!(response.headers().contains_key("set-cookie"), "renewed");
    let seen = seen.lock().expect("not poisoned");
    let shown = format!("{starting} {grant:?} {grant:#?} {hub} {:?} {seen}", response.headers());
    assert!(shown.contains("Session("), "{shown}");
    assert_silent(&shown, &token);
}

#[tokio::test]
async fn p10_a_rejection_holds_no_token_or_subject() {
    let stack = TestStack::new(patient());
    let token = sign_in(&stack).await;
    let (start, signature) = token.rsplit_once('.').expect("three parts");
    let forged = format!("{start}.{}", signature.chars().rev().collect::<String>());
    stack.at(13 * HOUR);
    for presented in [&token, &forged] {
        let response = stack.get(presented).await;
        let rejection = *response.extensions().get::<Rejection>().expect("rejected");
        let mut shown = format!("{rejection:?} {rejection} {:?}", response.headers());
        shown += &text(response).await;
        assert_silent(&shown, &token);
    }
}
