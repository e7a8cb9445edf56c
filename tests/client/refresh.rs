//! One refresh for all requests that wait for it.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use tokio::{runtime::Builder, sync::Notify, task::JoinSet};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_sliding_session::{
    RejectionKind,
    client::{ClientBody, ClientEvent, RefreshError, RefreshRoute, SessionClient, Tokens},
    store::ListQuery,
};

use crate::app::{App, BEGIN, Caller, LIFETIME, MINUTE, code, http};

const HTTP: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// Sends `count` requests at once, and returns the statuses.
async fn at_once(caller: &Caller, count: usize) -> Vec<StatusCode> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let caller = caller.clone_of();
        tasks.spawn(async move { caller.get("/me").await.status() });
    }
    tasks.join_all().await
}

#[tokio::test]
async fn p06_parallel_requests_at_the_moment_of_expiry_are_one_refresh() {
    for version in HTTP {
        for count in [1, 50, 100] {
            let app = App::start().await;
            let caller = app.ada(version).await;
            app.clock.advance(LIFETIME);
            assert_eq!(at_once(&caller, count).await, vec![StatusCode::OK; count]);
            assert_eq!(app.refreshes(), 1, "{version:?} {count}");
            assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
            assert!(app.server.control.seen("/me").len() <= 2 * count);
        }
    }
}

#[tokio::test]
async fn p07_a_request_that_is_dropped_hands_its_refresh_over() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    app.clock.advance(LIFETIME);
    let held = app.server.control.hold("/auth/refresh");
    let first = caller.clone_of();
    let first = tokio::spawn(async move { first.get("/me").await });
    app.server.control.wait_for("/auth/refresh", 1).await;
    first.abort();
    assert!(first.await.expect_err("aborted").is_cancelled());
    let second = caller.clone_of();
    let second = tokio::spawn(async move { second.get("/me").await });
    app.server.control.wait_for("/me", 2).await;
    held.release(1);
    assert_eq!(second.await.expect("no panic").status(), StatusCode::OK);
    assert_eq!(app.refreshes(), 1);
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
}

#[tokio::test]
async fn p07_a_refresh_goes_on_after_all_its_requests_were_dropped() {
    let app = App::start().await;
    let renewed = Arc::new(Notify::new());
    let told = Arc::clone(&renewed);
    let caller = app.caller(Version::HTTP_2, |builder| {
        builder.on_event(move |event| {
            assert_eq!(event, ClientEvent::Renewed);
            told.notify_one();
        })
    });
    caller.session.sign_in(app.sign_in("ada").await);
    app.clock.advance(LIFETIME);
    let held = app.server.control.hold("/auth/refresh");
    let mut requests = JoinSet::new();
    for _ in 0..10 {
        let caller = caller.clone_of();
        requests.spawn(async move { caller.get("/me").await });
    }
    app.server.control.wait_for("/auth/refresh", 1).await;
    requests.shutdown().await;
    held.release(1);
    renewed.notified().await;
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    assert_eq!(app.refreshes(), 1);
}

#[tokio::test]
async fn p07_a_refresh_whose_runtime_was_shut_down_is_started_by_a_waiting_request() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    app.clock.advance(LIFETIME);
    let held = app.server.control.hold("/auth/refresh");
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    // Its connections are of its runtime.
    let first = caller.with_connections_of_its_own();
    runtime.spawn(async move { first.get("/me").await });
    app.server.control.wait_for("/auth/refresh", 1).await;
    let second = caller.clone_of();
    let second = tokio::spawn(async move { second.get("/me").await });
    app.server.control.wait_for("/me", 2).await;
    app.server.control.hold_nothing();
    runtime.shutdown_background();
    assert_eq!(second.await.expect("no panic").status(), StatusCode::OK);
    drop(held);
    assert_eq!(app.refreshes(), 2, "the server returns the same successors");
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
}

#[tokio::test]
async fn p33_a_late_rejection_of_the_old_token_is_repeated_and_signs_nobody_out() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    app.clock.advance(LIFETIME);
    let held = app.server.control.hold("/me");
    let late = caller.clone_of();
    let late = tokio::spawn(async move { late.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    held.release(1);
    assert_eq!(late.await.expect("no panic").status(), StatusCode::OK);
    assert_eq!(app.refreshes(), 1);
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
}

#[tokio::test]
async fn p33_a_request_on_its_way_during_a_step_up_is_repeated_in_the_new_session() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let old = caller.session.tokens().expect("signed in");
    let held = app.server.control.hold("/me");
    let sid = sid(old.access_token());
    app.sessions.revoke(&sid).await.expect("the session is revoked");
    let late = caller.clone_of();
    let late = tokio::spawn(async move { late.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    app.server.control.hold_nothing();
    caller.session.sign_in(app.sign_in("ada").await);
    held.release(1);
    assert_eq!(late.await.expect("no panic").status(), StatusCode::OK);
    assert_eq!(caller.events.all(), []);
}

#[tokio::test]
async fn p21_a_request_is_never_repeated_as_another_user() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    app.clock.advance(LIFETIME);
    let held = app.server.control.hold("/me");
    let late = caller.clone_of();
    let late = tokio::spawn(async move { late.get("/me").await });
    app.server.control.wait_for("/me", 1).await;
    caller.session.sign_in(app.sign_in("bob").await);
    held.release(1);
    assert_eq!(code(&late.await.expect("no panic")), "token_expired");
    app.server.control.hold_nothing();
    assert_eq!(caller.get("/me").await.body(), "bob");
    assert_eq!((app.refreshes(), caller.events.all()), (0, vec![]));
}

#[tokio::test]
async fn p04_a_refresh_in_flight_revives_no_session_that_was_signed_out() {
    for signs_in_again in [false, true] {
        let app = App::start().await;
        let caller = app.ada(Version::HTTP_2).await;
        app.clock.advance(LIFETIME);
        let held = app.server.control.hold("/auth/refresh");
        let request = caller.clone_of();
        let request = tokio::spawn(async move { request.get("/me").await });
        app.server.control.wait_for("/auth/refresh", 1).await;
        caller.session.sign_out();
        let next = app.sign_in("bob").await;
        if signs_in_again {
            caller.session.sign_in(&next);
        }
        held.release(1);
        assert_eq!(code(&request.await.expect("no panic")), "token_expired");
        let expected = signs_in_again.then(|| next.access_token().to_owned());
        assert_eq!(caller.access_token(), expected);
        assert_eq!(caller.events.all(), []);
    }
}

#[tokio::test]
async fn p17_a_refresh_that_a_background_request_needs_is_no_activity() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    app.clock.advance(LIFETIME);
    let background = [("session-activity", "background")];
    assert_eq!(caller.send("GET /me", &background).await.status(), StatusCode::OK);
    app.clock.advance(LIFETIME);
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    let seen = app.server.control.seen("/auth/refresh");
    assert_eq!(seen.iter().map(|seen| seen.is_background).collect::<Vec<_>>(), [true, false]);

    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    app.clock.advance(LIFETIME);
    assert_eq!(caller.send("GET /me", &background).await.status(), StatusCode::OK);
    let everything = app.sessions.everything();
    let page = app.sessions.sessions(everything, ListQuery::first(1)).await.expect("a list");
    assert_eq!(page.items[0].last_seen, BEGIN);
}

#[tokio::test]
async fn p07_a_refresh_token_that_was_used_by_somebody_else_is_told_as_such() {
    let app = App::start().await;
    let grant = app.sign_in("ada").await;
    let caller = app.stranger(Version::HTTP_11);
    caller.session.sign_in(&grant);
    let refreshed = app.sessions.refresh(grant.refresh_token().expect("the feature is on"));
    let stolen = refreshed.await.expect("the first exchange");
    let thief = app.stranger(Version::HTTP_11);
    thief.session.sign_in(&stolen);
    assert_eq!(thief.get("/me").await.status(), StatusCode::OK);
    app.clock.advance(LIFETIME);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    let reused = ClientEvent::SignedOut(RejectionKind::RefreshTokenReused);
    assert_eq!(caller.events.all(), [reused]);
    assert!(caller.session.tokens().is_none());
    assert_eq!(code(&thief.get("/me").await), "session_revoked");
    let revoked = ClientEvent::SignedOut(RejectionKind::SessionRevoked);
    assert_eq!(thief.events.all(), [revoked]);
}

/// The request with its body boxed.
fn boxed<B>(request: Request<B>) -> Request<BoxBody<Bytes, Infallible>>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
{
    request.map(BodyExt::boxed)
}

#[tokio::test]
async fn a_refresh_through_the_same_limit_of_one_call_does_not_wait_for_itself() {
    for version in HTTP {
        let app = App::start().await;
        let limited = ServiceBuilder::new()
            .concurrency_limit(1)
            .service(http::<BoxBody<Bytes, Infallible>>(version));
        let refresh = limited.clone().map_request(boxed::<Full<Bytes>>);
        let refresh = RefreshRoute::<_, Full<Bytes>>::new(refresh, app.refresh_uri());
        let session = SessionClient::builder().refresh(refresh).build();
        session.sign_in(app.sign_in("ada").await);
        let service = limited.map_request(boxed::<ClientBody<Full<Bytes>>>);
        let service = session.layer().layer(service);
        app.clock.advance(LIFETIME);
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let request = Request::get(format!("{}/me", app.origin()));
            let request = request.body(Full::new(Bytes::new())).expect("a request");
            let service = service.clone();
            tasks.spawn(async move {
                let response = service.oneshot(request).await.expect("a response");
                let status = response.status();
                response.into_body().collect().await.expect("a whole body");
                status
            });
        }
        assert_eq!(tasks.join_all().await, [StatusCode::OK; 20]);
        assert_eq!(app.refreshes(), 1);
    }
}

#[tokio::test]
async fn a_refreshed_token_that_is_refused_at_once_is_not_refreshed_again() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_11).await;
    app.clock.advance(LIFETIME);
    let held = app.server.control.hold("/auth/refresh");
    let request = caller.clone_of();
    let request = tokio::spawn(async move { request.get("/me").await });
    app.server.control.wait_for("/auth/refresh", 1).await;
    // The answer takes longer than the token is valid.
    app.clock.advance(LIFETIME);
    // Another refresh would be answered, too.
    held.release(2);
    assert_eq!(code(&request.await.expect("no panic")), "token_expired");
    assert_eq!(app.refreshes(), 1);
    app.server.control.hold_nothing();
    assert_eq!(caller.get("/me").await.status(), StatusCode::OK);
    assert_eq!(caller.events.all(), [ClientEvent::Renewed, ClientEvent::Renewed]);
    app.clock.advance(MINUTE);
}

/// The server's answer is in no way newer: a request with it would be refused alike.
#[tokio::test]
async fn a_refresh_that_brings_the_same_access_token_repeats_nothing() {
    let app = App::start().await;
    let grant = app.sign_in("ada").await;
    let same = Tokens::from(&grant).with_refresh_token("another");
    let caller = app.caller(Version::HTTP_11, |builder| {
        builder.refresh(move |_| std::future::ready(Ok(same.clone())))
    });
    caller.session.sign_in(grant);
    app.clock.advance(LIFETIME);
    assert_eq!(code(&caller.get("/me").await), "token_expired");
    assert_eq!(app.server.control.seen("/me").len(), 1);
}

/// A body that says when it was read to its end.
struct Observed {
    body: Full<Bytes>,
    is_read: Arc<AtomicBool>,
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.is_read.fetch_or(frame.is_none(), Ordering::SeqCst);
        Poll::Ready(frame)
    }
}

/// Until then it occupies its connection, of which a client may have one only.
#[tokio::test]
async fn the_body_of_a_rejection_is_read_before_the_token_is_refreshed() {
    let is_read = Arc::new(AtomicBool::new(false));
    let (at_refresh, at_response) = (Arc::clone(&is_read), Arc::clone(&is_read));
    let service = service_fn(move |request: Request<ClientBody<Full<Bytes>>>| {
        let is_first = request.headers()["authorization"] == "Bearer e30.first.x";
        let (body, is_read) = (Full::from("text"), Arc::clone(&at_response));
        let mut response = Response::new(Observed { body, is_read });
        if is_first {
            let code = http::HeaderValue::from_static("token_expired");
            response.headers_mut().insert("session-error", code);
        }
        std::future::ready(Ok::<_, Infallible>(response))
    });
    // The refresh is a task, which runs once the request waits for it.
    let refresh = move |_| {
        let is_read = Arc::clone(&at_refresh);
        async move {
            if is_read.load(Ordering::SeqCst) {
                Ok(Tokens::new("e30.second.x").expect("its characters are allowed"))
            } else {
                Err(RefreshError::unavailable("the connection is occupied"))
            }
        }
    };
    let session = SessionClient::builder().refresh(refresh).build();
    let first = Tokens::new("e30.first.x").expect("its characters are allowed");
    session.sign_in(first.with_refresh_token("refresh"));
    let request = Request::new(Full::new(Bytes::new()));
    session.layer().layer(service).oneshot(request).await.expect("a response");
    let held = session.tokens().expect("signed in");
    assert_eq!(held.access_token(), "e30.second.x");
}

/// The `sid` of a token.
pub(crate) fn sid(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let payload = token.split('.').nth(1).expect("three parts");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    let claims: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
    claims["sid"].as_str().expect("a sid").to_owned()
}
