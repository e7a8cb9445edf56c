//! Server-sent events, gRPC-Web and other bodies over HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    response::sse::{Event, KeepAlive, Sse},
    routing::get,
};
use bytes::Bytes;
use http::{Request, Response, Version, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{net::TcpListener, sync::mpsc};
use tonic::codegen::tokio_stream::wrappers::UnboundedReceiverStream;
use tower::{ServiceBuilder, service_fn};

use super::{Cause, nothing_is_left, session_of, soon, stack};
use crate::{hyper_server, test_stack::TestStack};

type Feed = UnboundedReceiverStream<Result<Frame<Bytes>, Infallible>>;

/// Serves a body that begins with `first` and goes on for ever.
async fn serve(
    stack: &TestStack,
    version: Version,
    content_type: &'static str,
    first: &'static [u8],
) -> SocketAddr {
    let handler = service_fn(move |_: Request<Incoming>| {
        let (sender, frames) = mpsc::unbounded_channel();
        sender.send(Ok(Frame::data(Bytes::from_static(first)))).expect("an open body");
        tokio::spawn(async move { sender.closed().await });
        let body: StreamBody<Feed> = StreamBody::new(UnboundedReceiverStream::new(frames));
        let response = Response::builder().header(CONTENT_TYPE, content_type).body(body);
        std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
    });
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(handler);
    hyper_server::serve(service, version).await
}

/// The response of `address`, whose body is still open.
async fn open(address: SocketAddr, version: Version, token: &str) -> Response<Incoming> {
    let client = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .http2_only(version == Version::HTTP_2)
        .build_http::<Empty<Bytes>>();
    let request = Request::get(format!("http://{address}/"))
        .header("authorization", format!("Bearer {token}"))
        .body(Empty::new())
        .expect("a request");
    client.request(request).await.expect("a response")
}

async fn data(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    let frame = soon(body.frame()).await?;
    Some(frame.map(|frame| frame.into_data().expect("no trailers")))
}

#[tokio::test]
async fn p18_a_body_over_a_socket_ends_with_its_session_in_its_form() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for cause in Cause::ALL {
            for (content_type, first) in [
                ("text/event-stream", &b"data: tick\n\n"[..]),
                ("application/grpc-web+proto", b"\0\0\0\0\x01a"),
                ("application/grpc-web-text", b"AAAAAAFh"),
                ("text/event-stream", b"data: tick"),
                ("application/octet-stream", b"bytes"),
            ] {
                let stack = stack();
                let address = serve(&stack, version, content_type, first).await;
                let token = stack.sign_in().await;
                let session = session_of(&stack, &token).await;
                let mut body = open(address, version, &token).await.into_body();
                let begin = data(&mut body).await.expect("a frame").expect("data");
                assert_eq!(begin, first);
                cause.end(&stack, &session).await;
                let code = cause.code();
                let last = data(&mut body).await;
                if content_type == "application/octet-stream" || first == b"data: tick" {
                    assert!(last.expect("no clean end").is_err(), "{content_type}");
                    continue;
                }
                let last = last.expect("a last frame").expect("data");
                if content_type == "text/event-stream" {
                    let event = format!("event: session-ended\ndata: {{\"code\":\"{code}\"}}\n\n");
                    assert_eq!(last, event);
                } else {
                    let last = if content_type.ends_with("text") {
                        let base64 = base64::engine::general_purpose::STANDARD;
                        base64::Engine::decode(&base64, &last).expect("base64")
                    } else {
                        last.to_vec()
                    };
                    let (flag, text) = (last[0], String::from_utf8_lossy(&last[5..]));
                    assert_eq!(flag, 0x80);
                    assert!(text.starts_with("grpc-status:16\r\n"), "{text}");
                    assert!(text.ends_with(&format!("session-error:{code}\r\n")), "{text}");
                }
                assert!(data(&mut body).await.is_none(), "a clean end");
                nothing_is_left(&stack).await;
            }
        }
    }
}

#[tokio::test]
async fn p18_events_of_axum_end_with_the_session() {
    let stack = stack();
    let feed = async || {
        let (sender, events) = mpsc::unbounded_channel();
        let tick = Ok::<_, Infallible>(Event::default().event("tick").data("1"));
        sender.send(tick).expect("an open feed");
        tokio::spawn(async move { sender.closed().await });
        Sse::new(UnboundedReceiverStream::new(events)).keep_alive(KeepAlive::default())
    };
    let app = Router::new().route("/", get(feed)).layer(stack.sessions.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(axum::serve(listener, app).into_future());
    let token = stack.sign_in().await;
    let session = session_of(&stack, &token).await;
    let mut body = open(address, Version::HTTP_11, &token).await.into_body();
    let tick = data(&mut body).await.expect("a frame").expect("data");
    assert_eq!(tick, "event: tick\ndata: 1\n\n");
    session.sign_out().await.expect("the session is revoked");
    let last = data(&mut body).await.expect("a frame").expect("data");
    assert_eq!(last, "event: session-ended\ndata: {\"code\":\"session_revoked\"}\n\n");
    assert!(data(&mut body).await.is_none());
}

#[tokio::test]
async fn p18_nothing_is_left_of_a_stream_whose_client_has_left() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let stack = stack();
        let address = serve(&stack, version, "text/event-stream", b": open\n\n").await;
        let token = stack.sign_in().await;
        let mut response = open(address, version, &token).await;
        data(response.body_mut()).await.expect("a frame").expect("data");
        let is_armed = async {
            while stack.clock.waiting_timers() == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(is_armed).await;
        drop(response);
        nothing_is_left(&stack).await;
    }
}
