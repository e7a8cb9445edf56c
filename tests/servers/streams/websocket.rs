//! Sockets of axum, and of the upgrades of hyper.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    extract::ws::{self, WebSocketUpgrade},
    routing::any,
};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest as _,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};
use tower::{ServiceBuilder, service_fn};
use tower_sliding_session::{RejectionKind, Session};

use super::{Cause, nothing_is_left, session_of, soon, stack};
use crate::test_stack::TestStack;

/// The close code of a session that has ended.
const SESSION_ENDED: u16 = 3000;

async fn axum_socket(mut socket: ws::WebSocket, session: Session) {
    let mut ended = session.ended();
    let reason: RejectionKind = loop {
        tokio::select! {
            reason = &mut ended => break reason,
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                if session.touch().await.is_ok() {
                    let _ = socket.send(message).await;
                }
            }
        }
    };
    let frame = ws::CloseFrame { code: SESSION_ENDED, reason: reason.code().into() };
    let _ = socket.send(ws::Message::Close(Some(frame))).await;
}

async fn serve_axum(stack: &TestStack) -> SocketAddr {
    let handler = async |upgrade: WebSocketUpgrade, session: Session| {
        upgrade.on_upgrade(async move |socket| axum_socket(socket, session).await)
    };
    let app = Router::new().route("/", any(handler)).layer(stack.sessions.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

async fn hyper_socket(request: Request<Incoming>, session: Session) {
    let upgraded = hyper::upgrade::on(request).await.expect("an upgrade");
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    let mut ended = session.ended();
    let reason = loop {
        tokio::select! {
            reason = &mut ended => break reason,
            message = socket.next() => {
                let Some(Ok(message)) = message else { return };
                if session.touch().await.is_ok() {
                    let _ = socket.send(message).await;
                }
            }
        }
    };
    let frame = CloseFrame { code: CloseCode::from(SESSION_ENDED), reason: reason.code().into() };
    let _ = socket.close(Some(frame)).await;
}

async fn serve_hyper(stack: &TestStack) -> SocketAddr {
    let handler = service_fn(|request: Request<Incoming>| {
        let session = request.extensions().get::<Session>().expect("authenticated").clone();
        let key = request.headers()[header::SEC_WEBSOCKET_KEY].as_bytes();
        let accept = HeaderValue::try_from(derive_accept_key(key)).expect("base64");
        tokio::spawn(hyper_socket(request, session));
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(header::CONNECTION, "upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_ACCEPT, accept)
            .body(Empty::<Bytes>::new());
        std::future::ready(Ok::<_, Infallible>(response.expect("a response")))
    });
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(handler);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection.with_upgrades());
        }
    });
    address
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(address: SocketAddr, token: &str) -> Socket {
    let mut request = format!("ws://{address}/").into_client_request().expect("a request");
    let bearer = format!("Bearer {token}").parse().expect("visible ASCII");
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    connect_async(request).await.expect("a handshake").0
}

async fn repeats(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("an open socket");
    let answer = soon(socket.next()).await.expect("a message").expect("a message");
    assert_eq!(answer, Message::text(text));
}

#[tokio::test]
async fn p18_a_websocket_is_closed_with_the_code_of_its_session() {
    for cause in Cause::ALL {
        for is_axum in [true, false] {
            let stack = stack();
            let address =
                if is_axum { serve_axum(&stack).await } else { serve_hyper(&stack).await };
            let token = stack.sign_in().await;
            let session = session_of(&stack, &token).await;
            let mut socket = connect(address, &token).await;
            repeats(&mut socket, "message").await;
            cause.end(&stack, &session).await;
            let close = soon(socket.next()).await.expect("a frame").expect("a frame");
            let Message::Close(Some(frame)) = close else { panic!("{close:?}") };
            assert_eq!(u16::from(frame.code), SESSION_ENDED);
            assert_eq!(frame.reason, cause.code(), "{cause:?}");
            nothing_is_left(&stack).await;
        }
    }
}

#[tokio::test]
async fn p17_what_is_sent_over_a_websocket_prolongs_its_session() {
    let stack = stack();
    let address = serve_axum(&stack).await;
    let token = stack.sign_in().await;
    let mut socket = connect(address, &token).await;
    repeats(&mut socket, "message").await;
    stack.at(super::STEP);
    repeats(&mut socket, "message").await;
    stack.at(super::STEP + crate::stack::IDLE_TIMEOUT - crate::test_stack::MILLI);
    repeats(&mut socket, "message").await;
}
