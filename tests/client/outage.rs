//! A server that is away, or that answers without saying anything of the session.

use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, Version};
use http_body_util::Full;
use tower_sliding_session::{
    JwtKeys, ManualClock, Policy, SlidingSessions,
    client::{ClientEvent, RefreshRoute},
};

use crate::{
    app::{App, BEGIN, LIFETIME, MINUTE, code, http},
    test_stack::faulty_store::{FaultyStore, StoreBehavior},
};

#[tokio::test]
async fn p23_a_refresh_that_fails_signs_nobody_out() {
    for status in [500, 502, 503, 429, 404, 403, 401, 400, 301, 204, 200, 201] {
        let app = App::start().await;
        let caller = app.ada(Version::HTTP_11).await;
        app.clock.advance(LIFETIME);
        let status = StatusCode::from_u16(status).expect("a status");
        app.server.control.break_path("/auth/refresh", status);
        for attempts in 1..=2 {
            let rejected = caller.get("/me").await;
            assert_eq!(rejected.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(rejected.headers()["content-type"], "application/problem+json");
            assert_eq!(code(&rejected), "token_expired", "the response is as it came");
            assert_eq!(app.refreshes(), attempts, "{status}");
        }
        assert_eq!(caller.events.all(), [ClientEvent::Unavailable; 2]);
        app.server.control.mend();
        assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn p23_a_server_that_is_away_for_a_minute_signs_nobody_out() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut app = App::start().await;
        let mut callers = Vec::new();
        for user in ["ada", "bob", "eve"] {
            let caller = app.stranger(version);
            caller.session.sign_in(app.sign_in(user).await);
            assert_eq!(caller.get("/me").await.body(), user);
            callers.push((user, caller));
        }
        app.server.stop();
        app.clock.advance(MINUTE);
        for (_, caller) in &callers {
            caller.try_send("GET /me", &[], "").await.expect_err("nobody answers");
        }
        app.clock.advance(LIFETIME);
        app.server.restart().await;
        for (user, caller) in &callers {
            // The pool may still have the connection that was closed.
            let answer = match caller.try_send("GET /me", &[], "").await {
                Ok(answer) => answer,
                Err(_) => caller.get("/me").await,
            };
            assert_eq!(answer.body(), user);
            assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
        }
        assert_eq!(app.refreshes(), callers.len());
    }
}

#[tokio::test]
async fn p23_a_refresh_whose_connection_is_refused_signs_nobody_out() {
    let app = App::start().await;
    let nobody = "http://127.0.0.1:1/auth/refresh".parse().expect("an address");
    let nobody = RefreshRoute::<_, Full<Bytes>>::new(http(Version::HTTP_11), nobody);
    let caller = app.caller(Version::HTTP_11, |builder| builder.refresh(nobody));
    caller.session.sign_in(app.sign_in("ada").await);
    app.clock.advance(LIFETIME);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    assert_eq!(caller.events.all(), [ClientEvent::Unavailable]);
    assert!(caller.session.tokens().is_some());
}

#[tokio::test]
async fn p23_a_store_that_does_not_answer_signs_nobody_out() {
    let clock = ManualClock::new(BEGIN);
    let policy = Policy::builder().build().expect("a legal configuration");
    let keys = JwtKeys::hs256([7; 32]).expect("a long secret");
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let sessions = SlidingSessions::builder(keys, policy)
        .clock(clock.clone())
        .store(Arc::clone(&store))
        .build()
        .expect("a legal configuration");
    let app = App::serve(sessions, clock).await;
    let caller = app.ada(Version::HTTP_11).await;
    store.behave(StoreBehavior::Failing);
    assert_eq!(code(&caller.get("/me").await), "store_unavailable");
    assert_eq!(caller.events.all(), [ClientEvent::Unavailable]);
    store.behave(StoreBehavior::Ready);
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
}
