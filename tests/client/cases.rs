//! Kinds of sessions in the order in which services meet them: renewed by writes, by a threshold,
//! guests, ended by idleness and at last.

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tower::ServiceExt;
use tower_sliding_session::{
    Grant, JwtKeys, ManualClock, Policy, RejectionKind, SlidingSessions, client::ClientEvent,
    request_class::Methods,
};

use crate::app::{ABSOLUTE, App, BEGIN, Caller, IDLE, LIFETIME, MINUTE, code, http};

/// Signs a guest in, as an application without accounts does.
async fn sign_in_as_guest(app: &App, caller: &Caller) {
    let request = Request::post(format!("{}/sign-in", app.origin()));
    let request = request.body(Full::new(Bytes::new())).expect("a request");
    let response = http(Version::HTTP_11).oneshot(request).await.expect("a response");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    let grant: Grant = serde_json::from_slice(&body).expect("a grant");
    caller.session.sign_in(grant);
}

#[tokio::test]
async fn a_session_that_writes_renew() {
    let clock = ManualClock::new(BEGIN);
    let policy = Policy::builder().renew_always().build().expect("a legal configuration");
    let keys = JwtKeys::hs256([7; 32]).expect("a long secret");
    let sessions = SlidingSessions::builder(keys, policy)
        .clock(clock.clone())
        .classify(Methods::reads_are_background())
        .build()
        .expect("a legal configuration");
    let app = App::serve(sessions, clock).await;
    let caller = app.ada(Version::HTTP_11).await;
    app.clock.advance(2 * MINUTE);
    caller.get("/me").await;
    assert_eq!(caller.events.all(), []);
    let answer = caller.try_send("POST /echo", &[], "written").await.expect("a response");
    assert_eq!(answer.body(), "written");
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
}

#[tokio::test]
async fn a_session_below_its_threshold() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    for minute in 1..=120 {
        app.clock.advance(MINUTE);
        assert_eq!(caller.get("/me").await.status(), StatusCode::OK, "{minute}");
    }
    assert_eq!(app.refreshes(), 0, "an active session needs no refresh");
    let renewals = caller.events.all();
    assert!(renewals.iter().all(|event| *event == ClientEvent::Renewed));
    assert!((20..=24).contains(&renewals.len()), "{}", renewals.len());
}

#[tokio::test]
async fn a_guest_signs_in_again_unseen() {
    let app = App::start().await;
    let caller = app.stranger(Version::HTTP_11);
    sign_in_as_guest(&app, &caller).await;
    assert_eq!(caller.get("/me").await.body(), "guest");
    app.clock.advance(IDLE);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    let idle = ClientEvent::SignedOut(RejectionKind::SessionExpiredIdle);
    assert_eq!(caller.events.all(), [idle]);
    sign_in_as_guest(&app, &caller).await;
    assert_eq!(caller.get("/me").await.body(), "guest");
}

#[tokio::test]
async fn a_session_that_ends_idle_and_one_at_last() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    for _ in 0..6 {
        app.clock.advance(IDLE - MINUTE);
        assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    }
    app.clock.advance(IDLE);
    caller.get("/me").await;
    let idle = ClientEvent::SignedOut(RejectionKind::SessionExpiredIdle);
    assert_eq!(caller.events.all().last(), Some(&idle));

    let begin = app.clock_now();
    caller.session.sign_in(app.sign_in("ada").await);
    while app.clock_now() + LIFETIME < begin + ABSOLUTE {
        app.clock.advance(LIFETIME);
        assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    }
    app.clock.set(begin + ABSOLUTE);
    caller.get("/me").await;
    let absolute = ClientEvent::SignedOut(RejectionKind::SessionExpiredAbsolute);
    assert_eq!(caller.events.all().last(), Some(&absolute));
}
