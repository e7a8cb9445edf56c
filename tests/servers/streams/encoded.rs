//! Bodies that another layer encodes, inside or outside the stack: compression and gRPC-Web.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, Version, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::mpsc;
use tonic::codegen::tokio_stream::wrappers::UnboundedReceiverStream;
use tonic_web::GrpcWebLayer;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    compression::{CompressionLayer, predicate::SizeAbove},
    decompression::DecompressionLayer,
};
use tower_sliding_session::Session;

use super::{Cause, session_of, soon, stack};
use crate::{hyper_server, test_stack::TestStack};

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];
const TICK: &[u8] = b"data: tick\n\n";
/// A gRPC message.
const MESSAGE: &[u8] = b"\0\0\0\0\x01a";

type Feed = StreamBody<UnboundedReceiverStream<Result<Frame<Bytes>, Infallible>>>;

/// A response whose body begins with `first` and goes on for ever.
fn feed(content_type: &'static str, first: &'static [u8]) -> Response<Feed> {
    let (sender, frames) = mpsc::unbounded_channel();
    sender.send(Ok(Frame::data(Bytes::from_static(first)))).expect("an open body");
    tokio::spawn(async move { sender.closed().await });
    let body = StreamBody::new(UnboundedReceiverStream::new(frames));
    Response::builder().header(CONTENT_TYPE, content_type).body(body).expect("a response")
}

/// Compresses whatever the type and the length.
fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().compress_when(SizeAbove::new(0))
}

/// Sends a request that takes compressed bodies, ends its session once the response has begun, and
/// returns the whole decompressed body, or the error that it ended with.
async fn read(
    stack: &TestStack,
    address: std::net::SocketAddr,
    version: Version,
) -> (bool, Result<Bytes, BoxError>) {
    let token = stack.sign_in().await;
    let session: Session = session_of(stack, &token).await;
    let client = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .http2_only(version == Version::HTTP_2)
        .build_http::<Empty<Bytes>>();
    let request = Request::get(format!("http://{address}/"))
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::new())
        .expect("a request");
    let client = ServiceBuilder::new().layer(DecompressionLayer::new()).service(client);
    let response = client.oneshot(request).await.expect("a response");
    // The layer has removed the header of a body that it decompresses.
    let is_compressed = response.headers().get("vary").is_some();
    Cause::SignOut.end(stack, &session).await;
    let body = soon(response.into_body().collect()).await;
    (is_compressed, body.map(http_body_util::Collected::to_bytes))
}

#[tokio::test]
async fn p18_a_stream_that_is_compressed_outside_ends_with_a_whole_last_event() {
    for version in VERSIONS {
        let stack = stack();
        let handler = service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(feed("text/event-stream", TICK))
        });
        let service = ServiceBuilder::new()
            .layer(compression())
            .layer(stack.sessions.layer())
            .service(handler);
        let address = hyper_server::serve(service, version).await;
        let (is_compressed, body) = read(&stack, address, version).await;
        assert!(is_compressed);
        let last = "event: session-ended\ndata: {\"code\":\"session_revoked\"}\n\n";
        let body = body.expect("a whole body");
        assert_eq!(body, [TICK, last.as_bytes()].concat(), "{version:?}");
    }
}

#[tokio::test]
async fn p18_a_stream_that_is_compressed_inside_ends_with_an_error() {
    for version in VERSIONS {
        let stack = stack();
        let handler = service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(feed("text/event-stream", TICK))
        });
        let service = ServiceBuilder::new()
            .layer(stack.sessions.layer())
            .layer(compression())
            .service(handler);
        let address = hyper_server::serve(service, version).await;
        let (is_compressed, body) = read(&stack, address, version).await;
        assert!(is_compressed);
        body.expect_err("nothing that is not compressed may follow");
    }
}

/// A body without a form of its own: nobody takes it for whole.
#[tokio::test]
async fn p18_other_bodies_end_with_an_error_on_both_sides_of_a_compression() {
    for is_outside in [true, false] {
        let stack = stack();
        let handler = service_fn(async |_: Request<Incoming>| {
            Ok::<_, Infallible>(feed("text/plain", b"one line\n"))
        });
        let version = Version::HTTP_11;
        let address = if is_outside {
            let service = ServiceBuilder::new()
                .layer(compression())
                .layer(stack.sessions.layer())
                .service(handler);
            hyper_server::serve(service, version).await
        } else {
            let service = ServiceBuilder::new()
                .layer(stack.sessions.layer())
                .layer(compression())
                .service(handler);
            hyper_server::serve(service, version).await
        };
        let (_, body) = read(&stack, address, version).await;
        body.expect_err("it is not whole");
    }
}

/// Calls a gRPC method by gRPC-Web, and returns the frames: a flag and a text each.
async fn call_by_web(
    stack: &TestStack,
    address: std::net::SocketAddr,
    content_type: &str,
) -> Vec<(u8, String)> {
    let token = stack.sign_in().await;
    let session = session_of(stack, &token).await;
    let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = Request::post(format!("http://{address}/talk.Talk/Down"))
        .header("authorization", format!("Bearer {token}"))
        .header(CONTENT_TYPE, content_type)
        .header("accept", content_type)
        .body(Empty::new())
        .expect("a request");
    let response = client.request(request).await.expect("a response");
    assert_eq!(response.headers()[CONTENT_TYPE], content_type);
    Cause::SignOut.end(stack, &session).await;
    let body = soon(response.into_body().collect()).await.expect("a clean end").to_bytes();
    let mut body = if content_type.contains("text") {
        // Each piece has its own padding.
        let base64 = base64::engine::general_purpose::STANDARD;
        let quads = body.chunks(4).map(|quad| base64::Engine::decode(&base64, quad));
        quads.flat_map(|quad| quad.expect("base64")).collect()
    } else {
        body.to_vec()
    };
    let mut frames = Vec::new();
    while !body.is_empty() {
        let length = u32::from_be_bytes(body[1..5].try_into().expect("four bytes")) as usize;
        let rest = body.split_off(5 + length);
        frames.push((body[0], String::from_utf8(body[5..].to_vec()).expect("UTF-8")));
        body = rest;
    }
    frames
}

#[tokio::test]
async fn p18_a_grpc_stream_ends_whole_inside_and_outside_of_tonic_web() {
    for content_type in ["application/grpc-web+proto", "application/grpc-web-text+proto"] {
        for is_outside in [true, false] {
            let stack = stack();
            let handler = service_fn(async |_: Request<_>| {
                Ok::<_, Infallible>(feed("application/grpc", MESSAGE).map(tonic::body::Body::new))
            });
            let web = ServiceBuilder::new().layer(GrpcWebLayer::new());
            let version = Version::HTTP_11;
            let address = if is_outside {
                let service = web.layer(stack.sessions.layer()).service(handler);
                let service =
                    service.map_request(|it: Request<Incoming>| it.map(tonic::body::Body::new));
                hyper_server::serve(service, version).await
            } else {
                let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(
                    web.service(handler)
                        .map_request(|it: Request<Incoming>| it.map(tonic::body::Body::new)),
                );
                hyper_server::serve(service, version).await
            };
            let frames = call_by_web(&stack, address, content_type).await;
            let [(0, message), (0x80, trailers)] = &frames[..] else { panic!("{frames:?}") };
            assert_eq!(message, "a");
            let mut lines: Vec<_> = trailers.trim_end().split("\r\n").collect();
            lines.sort_unstable();
            assert_eq!(lines.len(), 3, "{trailers}");
            assert!(lines[0].starts_with("grpc-message:The"), "{trailers}");
            assert_eq!(lines[1..], ["grpc-status:16", "session-error:session_revoked"]);
        }
    }
}
