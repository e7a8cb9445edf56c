//! A tonic server behind the stack, called by a tonic client and by plain HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version, header::CONTENT_TYPE};
use tokio::net::{TcpListener, TcpStream};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};
use tower_sliding_session::RejectionKind;

use crate::{
    client::Client,
    stack::{IDLE_TIMEOUT, RENEWAL_DUE, stack, title},
    test_stack::TestStack,
};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Serves the health service behind the stack.
pub(crate) async fn serve(stack: &TestStack) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("documents", tonic_health::ServingStatus::Serving).await;
    let server =
        Server::builder().accept_http1(true).layer(stack.sessions.layer()).add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

async fn connect(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    HealthClient::new(endpoint.connect().await.expect("a connection"))
}

fn about(service: &str, bearer: Option<&str>) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest { service: service.to_owned() });
    if let Some(bearer) = bearer {
        let value = bearer.parse().expect("visible ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    request
}

async fn check(
    client: &mut HealthClient<Channel>,
    bearer: Option<&str>,
) -> Result<tonic::Response<HealthCheckResponse>, Status> {
    client.check(about("documents", bearer)).await
}

fn assert_rejected(result: Result<tonic::Response<HealthCheckResponse>, Status>, code: &str) {
    let status = result.expect_err("a rejection");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.metadata().get("session-error").expect("a code"), code);
    let kind = RejectionKind::from_code(code).expect("a known code");
    assert_eq!(status.message(), title(kind));
}

#[tokio::test]
async fn a_call_succeeds_and_a_fresh_token_is_not_renewed() {
    let stack = stack(|builder| builder);
    let mut client = connect(serve(&stack).await).await;
    let bearer = stack.sign_in_bearer().await;
    let response = check(&mut client, Some(&bearer)).await.expect("the call is accepted");
    assert!(!response.metadata().contains_key("x-refreshed-token"));
    assert_eq!(response.into_inner().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_renewed_token_is_in_the_initial_metadata_and_authenticates() {
    let stack = stack(|builder| builder);
    let mut client = connect(serve(&stack).await).await;
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);
    let response = check(&mut client, Some(&bearer)).await.expect("the call is accepted");
    let renewed = response.metadata().get("x-refreshed-token").expect("renewed");
    let renewed = format!("Bearer {}", renewed.to_str().expect("a token"));
    stack.clock.advance(RENEWAL_DUE);
    assert!(check(&mut client, Some(&renewed)).await.is_ok());
    assert_rejected(check(&mut client, Some(&bearer)).await, "token_expired");
}

#[tokio::test]
async fn a_streaming_call_is_renewed_in_its_initial_metadata() {
    let stack = stack(|builder| builder);
    let mut client = connect(serve(&stack).await).await;
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);
    let response =
        client.watch(about("documents", Some(&bearer))).await.expect("the call is accepted");
    assert!(response.metadata().contains_key("x-refreshed-token"));
    let first = response.into_inner().message().await.expect("a message").expect("an open stream");
    assert_eq!(first.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_rejected_call_is_unauthenticated_with_a_code() {
    let stack = stack(|builder| builder);
    let mut client = connect(serve(&stack).await).await;
    let bearer = stack.sign_in_bearer().await;
    let revoked = stack.sessions.start("eve").await.expect("a session");
    stack.sessions.revoke(revoked.session_id()).await.expect("the session is revoked");
    let revoked = format!("Bearer {}", revoked.access_token());

    assert_rejected(check(&mut client, None).await, "missing_token");
    assert_rejected(check(&mut client, Some("Bearer a.b.c")).await, "invalid_token");
    assert_rejected(check(&mut client, Some(&revoked)).await, "session_revoked");
    let streaming = client.watch(about("documents", None)).await.expect_err("a rejection");
    assert_eq!(streaming.code(), Code::Unauthenticated);

    stack.clock.advance(IDLE_TIMEOUT);
    assert_rejected(check(&mut client, Some(&bearer)).await, "session_expired_idle");
}

#[tokio::test]
async fn a_handlers_error_is_not_renewed() {
    let stack = stack(|builder| builder);
    let mut client = connect(serve(&stack).await).await;
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);
    let status = client.check(about("nobody", Some(&bearer))).await.expect_err("no such service");
    assert_eq!(status.code(), Code::NotFound);
    assert!(!status.metadata().contains_key("x-refreshed-token"));
    assert!(!status.metadata().contains_key("session-error"));
    let response = check(&mut client, Some(&bearer)).await.expect("the call is accepted");
    assert!(
        response.metadata().contains_key("x-refreshed-token"),
        "the limiter still grants a renewal"
    );
}

/// Calls [`CHECK`] with an empty message and returns the HTTP/2 response.
async fn call_bare(address: SocketAddr, bearer: Option<&str>) -> Response<h2::RecvStream> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (client, connection) = h2::client::handshake(stream).await.expect("a handshake");
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://{address}{CHECK}"))
        .version(Version::HTTP_2)
        .header("te", "trailers")
        .header(CONTENT_TYPE, "application/grpc+proto");
    if let Some(bearer) = bearer {
        request = request.header("authorization", bearer);
    }
    let request = request.body(()).expect("a request");
    let mut client = client.ready().await.expect("a free stream");
    let (response, mut body) = client.send_request(request, false).expect("sent");
    // Not compressed, length zero: asks for the health of the whole server.
    body.send_data(Bytes::from_static(&[0; 5]), true).expect("sent");
    response.await.expect("a response")
}

#[tokio::test]
async fn a_rejection_is_one_headers_frame_that_ends_the_stream() {
    let stack = stack(|builder| builder);
    let response = call_bare(serve(&stack).await, None).await;
    assert!(response.body().is_end_stream(), "the HEADERS frame has END_STREAM");
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers();
    assert_eq!(headers[CONTENT_TYPE], "application/grpc");
    assert_eq!(headers["grpc-status"], "16");
    assert_eq!(headers["grpc-message"], "Sign in to continue.");
    assert_eq!(headers["session-error"], "missing_token");
    for http_only in ["www-authenticate", "retry-after"] {
        assert!(!headers.contains_key(http_only), "{http_only}");
    }
}

#[tokio::test]
async fn an_accepted_call_has_its_status_in_the_trailers() {
    let stack = stack(|builder| builder);
    let bearer = stack.sign_in_bearer().await;
    let address = serve(&stack).await;
    stack.clock.advance(RENEWAL_DUE);
    let response = call_bare(address, Some(&bearer)).await;
    assert!(!response.body().is_end_stream());
    assert!(response.headers().contains_key("x-refreshed-token"), "in the first HEADERS frame");
    assert!(!response.headers().contains_key("grpc-status"));
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        let data = data.expect("a message");
        body.flow_control().release_capacity(data.len()).expect("capacity is released");
    }
    let trailers = body.trailers().await.expect("the whole stream").expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
    assert!(!trailers.contains_key("x-refreshed-token"));
}

#[tokio::test]
async fn grpc_web_is_rejected_in_its_own_content_type() {
    let stack = stack(|builder| builder);
    let caller = Client::new(serve(&stack).await, Version::HTTP_11);
    for content_type in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let request = Request::post(CHECK)
            .header(CONTENT_TYPE, content_type)
            .header("origin", "https://app.example");
        let response = caller.send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], content_type);
        assert_eq!(response.headers()["grpc-status"], "16");
        assert_eq!(response.headers()["session-error"], "missing_token");
        assert!(response.body().is_empty());
        let exposed = response.headers()["access-control-expose-headers"].to_str();
        let exposed: Vec<_> = exposed.expect("names").split(", ").collect();
        for name in ["grpc-status", "grpc-message", "session-error"] {
            assert!(exposed.contains(&name), "{name} in {exposed:?}");
        }
    }
}
