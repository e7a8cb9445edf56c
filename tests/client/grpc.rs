//! The layer around a tonic channel: unary calls, and streams in one and in both directions.

use http::Version;
use tokio::{sync::mpsc, task::JoinSet};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    client,
    codegen::tokio_stream::wrappers::UnboundedReceiverStream,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::ServiceBuilder;
use tower_http::map_request_body::{MapRequestBody, MapRequestBodyLayer};
use tower_sliding_session::{
    RejectionKind,
    client::{ClientBody, ClientEvent, SessionClientService},
};

use crate::{
    app::{App, Caller, IDLE, LIFETIME, MINUTE},
    echo::Texts,
    refresh::sid,
};

type Authorized = SessionClientService<MapRequestBody<Channel, fn(ClientBody<Body>) -> Body>>;

/// The channel of `caller` to `app`.
async fn channel(app: &App, caller: &Caller) -> Authorized {
    let endpoint = Endpoint::from_shared(app.origin()).expect("an address");
    let to_body: fn(ClientBody<Body>) -> Body = Body::new;
    ServiceBuilder::new()
        .layer(caller.session.layer())
        .layer(MapRequestBodyLayer::new(to_body))
        .service(endpoint.connect().await.expect("a connection"))
}

async fn check(channel: &Authorized) -> Result<(), Status> {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.map(drop)
}

#[tokio::test]
async fn p06_unary_calls_at_the_moment_of_expiry_are_one_refresh() {
    for count in [1, 50, 100] {
        let app = App::start().await;
        let caller = app.ada(Version::HTTP_2).await;
        let channel = channel(&app, &caller).await;
        check(&channel).await.expect("the call is accepted");
        app.clock.advance(LIFETIME);
        let mut calls = JoinSet::new();
        for _ in 0..count {
            let channel = channel.clone();
            calls.spawn(async move { check(&channel).await });
        }
        for answer in calls.join_all().await {
            answer.expect("the call is accepted");
        }
        assert_eq!(app.refreshes(), 1);
        assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
    }
}

#[tokio::test]
async fn p08_a_renewed_token_is_taken_from_the_initial_metadata() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let channel = channel(&app, &caller).await;
    let first = caller.access_token();
    app.clock.advance(LIFETIME / 2 + MINUTE);
    check(&channel).await.expect("the call is accepted");
    assert_ne!(caller.access_token(), first);
    assert_eq!(caller.events.all(), [ClientEvent::Renewed]);
    assert_eq!(app.refreshes(), 0);
}

#[tokio::test]
async fn a_stream_from_the_server_begins_after_a_refresh() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let mut health = HealthClient::new(channel(&app, &caller).await);
    app.clock.advance(LIFETIME);
    let watched = health.watch(HealthCheckRequest::default()).await.expect("accepted");
    let first = watched.into_inner().message().await.expect("a message");
    assert!(first.is_some());
    assert_eq!(app.refreshes(), 1);
}

#[tokio::test]
async fn a_stream_in_both_directions_goes_on_after_a_refresh() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let channel = channel(&app, &caller).await;
    app.clock.advance(LIFETIME);
    let (sender, messages) = mpsc::unbounded_channel();
    // One message is on its way when the call is rejected.
    sender.send("one".to_owned()).expect("an open stream");
    let mut client = client::Grpc::new(channel);
    client.ready().await.expect("ready");
    let stream = Request::new(UnboundedReceiverStream::new(messages));
    let path = http::uri::PathAndQuery::from_static("/echo.Echo/Talk");
    let answer = client.streaming(stream, path, Texts).await.expect("the call is accepted");
    let mut answers: Streaming<String> = answer.into_inner();
    for (next, expected) in [(Some("two"), "one"), (Some("three"), "two"), (None, "three")] {
        assert_eq!(answers.message().await.expect("a message").as_deref(), Some(expected));
        if let Some(next) = next {
            sender.send(next.to_owned()).expect("an open stream");
        }
    }
    drop(sender);
    assert_eq!(answers.message().await.expect("the end"), None);
    assert_eq!(app.refreshes(), 1);
    assert_eq!(app.server.control.seen("/echo.Echo").len(), 2);
}

#[tokio::test]
async fn the_end_of_a_session_is_told_and_reaches_the_call() {
    let app = App::start().await;
    let revoked = app.ada(Version::HTTP_2).await;
    let idle = app.ada(Version::HTTP_2).await;
    let session = sid(&revoked.access_token().expect("signed in"));
    app.sessions.revoke(&session).await.expect("the session is revoked");
    let status = check(&channel(&app, &revoked).await).await.expect_err("a rejection");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.metadata().get("session-error").expect("a code"), "session_revoked");
    let expected = ClientEvent::SignedOut(RejectionKind::SessionRevoked);
    assert_eq!(revoked.events.all(), [expected]);

    app.clock.advance(IDLE);
    let status = check(&channel(&app, &idle).await).await.expect_err("a rejection");
    assert_eq!(status.metadata().get("session-error").expect("a code"), "token_expired");
    let expected = ClientEvent::SignedOut(RejectionKind::SessionExpiredIdle);
    assert_eq!(idle.events.all(), [expected]);
}

#[tokio::test]
async fn p16_a_status_of_the_application_signs_nobody_out() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let channel = channel(&app, &caller).await;
    let mut client = client::Grpc::new(channel);
    client.ready().await.expect("ready");
    let path = http::uri::PathAndQuery::from_static("/echo.Echo/Unauthenticated");
    let message = Request::new("x".to_owned());
    let answer: Result<Response<String>, Status> = client.unary(message, path, Texts).await;
    assert_eq!(answer.expect_err("a status").code(), Code::Unauthenticated);
    assert_eq!(caller.events.all(), []);
    assert!(caller.session.tokens().is_some());
}

#[tokio::test]
async fn p16_metadata_that_a_handler_forwards_signs_nobody_out() {
    let app = App::start().await;
    let caller = app.ada(Version::HTTP_2).await;
    let channel = channel(&app, &caller).await;
    for code in ["session_revoked", "session_expired_idle", "token_expired"] {
        let mut client = client::Grpc::new(channel.clone());
        client.ready().await.expect("ready");
        let path = http::uri::PathAndQuery::from_static("/echo.Echo/Forwarded");
        let mut message = Request::new("x".to_owned());
        message.metadata_mut().insert("x-code", code.parse().expect("it may be metadata"));
        let answer: Result<Response<String>, Status> = client.unary(message, path, Texts).await;
        let status = answer.expect_err("a status");
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.metadata().get("session-error").is_none(), "{code}");
    }
    assert_eq!(caller.events.all(), []);
    assert!(caller.session.tokens().is_some());
    assert_eq!(app.refreshes(), 0);
}
