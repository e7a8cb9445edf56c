//! WebSocket handshakes that carry the token among their subprotocols, in axum and in hyper over
//! HTTP/1.1 and HTTP/2. tokio-tungstenite accepts a response as browsers do.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    Router,
    extract::{FromRequestParts, Request, WebSocketUpgrade, ws},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header::SEC_WEBSOCKET_PROTOCOL};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        error::{ProtocolError, SubProtocolError},
        handshake::derive_accept_key,
        protocol::Role,
    },
};
use tower::{ServiceBuilder, service_fn};
use tower_sliding_session::{PathRules, RejectionKind, Session, transport::websocket_protocol};

use crate::{
    hyper_server,
    stack::{IDLE_TIMEOUT, RENEWAL_DUE, stack},
    test_stack::TestStack,
};

fn websocket_stack() -> TestStack {
    let rules = PathRules::new().public("/public");
    stack(|builder| builder.bearer().transport(websocket_protocol()).path_rules(rules))
}

fn encoded(token: &str) -> String {
    format!("base64url.bearer.authorization.k8s.io.{}", URL_SAFE_NO_PAD.encode(token))
}

/// The subprotocols of a request, as one list.
fn offered(headers: &HeaderMap) -> String {
    let fields = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let fields = fields.map(|field| field.to_str().expect("visible ASCII").to_owned());
    fields.collect::<Vec<_>>().join(" | ")
}

/// An axum handler that selects `v1.app`, and sends the user and the subprotocols that it was offered.
async fn select(request: Request) -> Response {
    open(request, &["v1.app"]).await
}

/// As [`select`], for a handler that selects nothing.
async fn select_nothing(request: Request) -> Response {
    open(request, &[]).await
}

async fn open(request: Request, selected: &'static [&'static str]) -> Response {
    let (mut parts, _) = request.into_parts();
    let sub = parts.extensions.get::<Session>().map_or("nobody", Session::subject).to_owned();
    let text = format!("{sub}: {}", offered(&parts.headers));
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            upgrade.protocols(selected.iter().copied()).on_upgrade(async move |mut socket| {
                socket.send(ws::Message::Text(text.into())).await.expect("an open socket");
            })
        }
        Err(_) => text.into_response(),
    }
}

async fn serve(stack: &TestStack) -> SocketAddr {
    let app = Router::new()
        .route("/select", any(select))
        .route("/nothing", any(select_nothing))
        .route("/public", any(select_nothing))
        .layer(stack.sessions.layer());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// What a client makes of a handshake: the selected subprotocol and the first message, or why the
/// handshake failed.
async fn connect(
    address: SocketAddr,
    path: &str,
    fields: &[&str],
) -> Result<(Option<String>, String), Error> {
    let mut request = format!("ws://{address}{path}").into_client_request()?;
    for field in fields {
        request
            .headers_mut()
            .append(SEC_WEBSOCKET_PROTOCOL, field.parse().expect("a header value"));
    }
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut socket, response) = client_async(request, stream).await?;
    let selected = response
        .headers()
        .get(SEC_WEBSOCKET_PROTOCOL)
        .map(|it| it.to_str().expect("visible ASCII").to_owned());
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        panic!("the handler sends a text");
    };
    Ok((selected, text.to_string()))
}

/// The status of a handshake that the server refuses.
fn status(result: Result<(Option<String>, String), Error>) -> StatusCode {
    match result {
        Err(Error::Http(response)) => response.status(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_handshake_opens_where_browsers_accept_its_response() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let k8s = encoded(&token);
    // Offered, the handler's path, answered, what the handler was offered.
    let rows = [
        (format!("bearer, {token}, v1.app"), "/select", Some("v1.app"), "ada: bearer, v1.app"),
        (format!("v1.app, bearer, {token}"), "/select", Some("v1.app"), "ada: v1.app, bearer"),
        (format!("bearer, {token}"), "/select", Some("bearer"), "ada: bearer"),
        (format!("bearer, {token}"), "/nothing", Some("bearer"), "ada: bearer"),
        (
            format!("v1.app, bearer, {token}, v2.app"),
            "/nothing",
            Some("bearer"),
            "ada: v1.app, bearer, v2.app",
        ),
        (format!("{k8s}, v1.app"), "/select", Some("v1.app"), "ada: v1.app"),
        (format!("v1.app,{k8s} ,\tv2.app"), "/select", Some("v1.app"), "ada: v1.app, v2.app"),
    ];
    for (offered, path, answered, seen) in rows {
        let (selected, text) = connect(address, path, &[&offered]).await.expect(&offered);
        assert_eq!((selected.as_deref(), &*text), (answered, seen), "{offered}");
    }
}

#[tokio::test]
async fn several_fields_are_one_list() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    for fields in [
        &["v0.app", "bearer", &token, "v1.app"][..],
        &["v0.app, bearer", &format!("{token}, v1.app")],
        &[&format!("v0.app, bearer, {token}"), "v1.app"],
    ] {
        let fields = fields.join("\r\nsec-websocket-protocol: ");
        let response = exchange(address, &format!("{HANDSHAKE}{fields}\r\n\r\n")).await;
        assert!(response.starts_with("HTTP/1.1 101"), "{response}");
        assert!(response.contains("ada: v0.app, bearer, v1.app"), "{response}");
    }
}

#[tokio::test]
async fn a_handshake_fails_whose_response_selects_nothing() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let offered = format!("{}, v1.app", encoded(&token));
    let refused = connect(address, "/nothing", &[&offered]).await.expect_err("nothing is selected");
    let expected = ProtocolError::SecWebSocketSubProtocolError(SubProtocolError::NoSubProtocol);
    assert!(matches!(refused, Error::Protocol(error) if error == expected));
}

#[tokio::test]
async fn a_token_that_stands_alone_is_a_bad_request() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    for offered in [encoded(&token), format!("{}, ,", encoded("forged"))] {
        match connect(address, "/select", &[&offered]).await {
            Err(Error::Http(response)) => {
                assert_eq!(response.status(), StatusCode::BAD_REQUEST);
                assert_eq!(response.headers()["content-type"], "application/problem+json");
                assert!(!response.headers().contains_key(SEC_WEBSOCKET_PROTOCOL));
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    let body = exchange(address, &format!("{HANDSHAKE}{}\r\n\r\n", encoded(&token))).await;
    assert!(body.contains("Offer a second subprotocol beside the token"), "{body}");
}

#[tokio::test]
async fn a_token_that_does_not_verify_is_refused() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let k8s = encoded(&token);
    for offered in [
        "v1.app".to_owned(),
        "v1.app, bearer".to_owned(),
        "bearer, v1.app".to_owned(),
        format!("v1.app, bearer, {token}x"),
        format!("v1.app, Bearer, {token}"),
        format!("v1.app, bearer, {k8s}"),
        format!("v1.app, bearer, {token}, bearer, {token}"),
        format!("v1.app, bearer, {token}, {k8s}"),
        format!("v1.app, {k8s}, {k8s}"),
        format!("v1.app, {k8s}="),
        format!("v1.app, {k8s}+"),
        "v1.app, base64url.bearer.authorization.k8s.io.".to_owned(),
        format!("v1.app, base64url.bearer.authorization.k8s.io.{token}"),
        format!("v1.app, {}", encoded(&"a".repeat(9000))),
        format!("v1.app, {token}"),
    ] {
        let refused = connect(address, "/select", &[&offered]).await;
        assert_eq!(status(refused), StatusCode::UNAUTHORIZED, "{offered}");
    }
    stack.clock.advance(IDLE_TIMEOUT);
    let refused = connect(address, "/select", &[&format!("bearer, {token}")]).await;
    let Err(Error::Http(response)) = refused else { panic!("not refused") };
    assert_eq!(response.headers()["session-error"], RejectionKind::SessionExpiredIdle.code());
}

const HANDSHAKE: &str = "GET /select HTTP/1.1\r\nhost: a\r\nconnection: close, upgrade\r\n\
                         upgrade: WebSocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: ";

/// Sends `request` and returns all bytes of the response, and of the first message if there is one.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("an open connection");
    let mut bytes = Vec::new();
    // The server closes an opened WebSocket when its handler returns.
    stream.read_to_end(&mut bytes).await.expect("a response");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn p10_no_response_contains_the_token() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let signature = token.rsplit('.').next().expect("three parts").to_owned();
    let k8s = encoded(&token);
    let encoded_end = &k8s[k8s.len() - 24..];
    for offered in [
        format!("v1.app, bearer, {token}"),
        format!("bearer, {token}"),
        format!("v1.app, {k8s}"),
        format!("v2.app, {k8s}"),
        k8s.clone(),
        format!("bearer, {token}, {k8s}"),
        format!("bearer, {token}x"),
    ] {
        for path in ["/select", "/nothing", "/public"] {
            let handshake = HANDSHAKE.replace("/select", path);
            let response = exchange(address, &format!("{handshake}{offered}\r\n\r\n")).await;
            assert!(response.starts_with("HTTP/1.1 "), "{response}");
            assert!(!response.contains(&signature), "{offered}: {response}");
            assert!(!response.contains(encoded_end), "{offered}: {response}");
        }
    }
}

#[tokio::test]
async fn a_public_handler_gets_no_token_either() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let (_, text) =
        connect(address, "/public", &[&format!("bearer, {token}")]).await.expect("open");
    assert_eq!(text, "nobody: bearer");
    let offered = format!("v2.app, bearer, {token}");
    let (selected, text) = connect(address, "/public", &[&offered]).await.expect("open");
    assert_eq!((selected.as_deref(), &*text), (Some("bearer"), "nobody: v2.app, bearer"));
}

#[tokio::test]
async fn the_first_transport_decides_and_the_token_is_removed_anyway() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let grace = stack.sign_in_as("grace").await;
    let request =
        format!("{HANDSHAKE}v1.app, bearer, {token}\r\nauthorization: Bearer {grace}\r\n\r\n");
    let response = exchange(address, &request).await;
    assert!(response.starts_with("HTTP/1.1 101"), "{response}");
    assert!(response.contains("grace: v1.app, bearer"), "{response}");
}

#[tokio::test]
async fn only_a_handshake_is_read() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    let offered = format!("bearer, {token}");
    for handshake in [
        HANDSHAKE.replace("GET", "POST"),
        HANDSHAKE.replace("WebSocket", "h2c"),
        HANDSHAKE.replace("WebSocket", "websockets"),
        HANDSHAKE.replace("upgrade: WebSocket\r\n", ""),
    ] {
        let response = exchange(address, &format!("{handshake}{offered}\r\n\r\n")).await;
        assert!(response.starts_with("HTTP/1.1 401"), "{response}");
        assert!(response.contains(RejectionKind::MissingToken.code()), "{response}");
    }
    // The header of an ordinary request is left alone.
    let bearer = stack.sign_in_bearer().await;
    let plain = HANDSHAKE.replace("upgrade: WebSocket\r\n", "");
    let request = format!("{plain}v0, bearer, x\r\nauthorization: {bearer}\r\n\r\n");
    let response = exchange(address, &request).await;
    assert!(response.ends_with("ada: v0, bearer, x"), "{response}");
    assert!(!response.contains("sec-websocket-protocol"), "{response}");
}

#[tokio::test]
async fn a_response_to_a_handshake_carries_no_renewed_token() {
    let stack = websocket_stack();
    let (address, token) = (serve(&stack).await, stack.sign_in().await);
    stack.clock.advance(RENEWAL_DUE);
    for path in ["/nothing", "/select"] {
        let handshake = HANDSHAKE.replace("/select", path);
        let upgrade = format!("{handshake}bearer, {token}\r\n\r\n");
        let response = exchange(address, &upgrade).await;
        assert!(response.starts_with("HTTP/1.1 101"), "{response}");
        assert!(!response.contains("x-refreshed-token"), "{response}");
        // A handler that opens no WebSocket: a script cannot read this response either.
        let unopened = upgrade.replace("sec-websocket-version: 13", "sec-websocket-version: 1");
        let response = exchange(address, &unopened).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert!(!response.contains("x-refreshed-token"), "{response}");
        assert!(!response.contains("sec-websocket-protocol: bearer"), "{response}");
    }
}

/// A hyper handler that opens the WebSocket itself and selects nothing.
async fn upgrade(
    mut request: http::Request<Incoming>,
) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let text = format!(
        "{}: {}",
        request.extensions().get::<Session>().expect("authenticated").subject(),
        offered(request.headers()),
    );
    let mut response = http::Response::new(Full::default());
    if request.method() == Method::CONNECT {
        let seen = HeaderValue::try_from(text).expect("visible ASCII");
        response.headers_mut().insert("x-seen", seen);
        return Ok(response);
    }
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let accept = HeaderValue::try_from(derive_accept_key(key)).expect("base64");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [("connection", "upgrade"), ("upgrade", "websocket")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert("sec-websocket-accept", accept);
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let io = TokioIo::new(upgraded.await.expect("an upgrade"));
        let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
        socket.send(Message::text(text)).await.expect("an open socket");
    });
    Ok(response)
}

#[tokio::test]
async fn a_hyper_upgrade_opens() {
    let stack = websocket_stack();
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(service_fn(upgrade));
    let address = hyper_server::serve(service, Version::HTTP_11).await;
    let token = stack.sign_in().await;
    let offered = format!("v1.app, bearer, {token}");
    let (selected, text) = connect(address, "/", &[&offered]).await.expect("it opens");
    assert_eq!((selected.as_deref(), &*text), (Some("bearer"), "ada: v1.app, bearer"));
    assert_eq!(status(connect(address, "/", &["v1.app"]).await), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_extended_connect_over_http2_opens() {
    let stack = websocket_stack();
    let service = ServiceBuilder::new().layer(stack.sessions.layer()).service(service_fn(upgrade));
    let address = hyper_server::serve(service, Version::HTTP_2).await;
    let token = stack.sign_in().await;
    stack.clock.advance(RENEWAL_DUE);
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    for (offered, answer) in [
        (format!("v1.app, bearer, {token}"), Some(("ada: v1.app, bearer", Some("bearer")))),
        (format!("v1.app, {}", encoded(&token)), Some(("ada: v1.app", None))),
        ("v1.app".to_owned(), None),
    ] {
        let request = http::Request::connect(format!("https://{address}/chat"))
            .extension(h2::ext::Protocol::from("websocket"))
            .header(SEC_WEBSOCKET_PROTOCOL, &offered)
            .body(())
            .expect("a request");
        client = client.ready().await.expect("a ready connection");
        let (response, _) = client.send_request(request, false).expect("the server allows it");
        let (parts, _) = response.await.expect("a response").into_parts();
        let Some((seen, selected)) = answer else {
            assert_eq!(parts.status, StatusCode::UNAUTHORIZED);
            continue;
        };
        assert_eq!(parts.status, StatusCode::OK);
        assert_eq!(parts.headers["x-seen"], seen);
        let selected = selected.map(HeaderValue::from_static);
        assert_eq!(parts.headers.get(SEC_WEBSOCKET_PROTOCOL), selected.as_ref());
        assert!(!parts.headers.contains_key("x-refreshed-token"));
    }
}
