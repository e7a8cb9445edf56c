//! A WebSocket handshake in the layers: the token is removed, and `bearer` is selected if the handler
//! selects nothing.

use std::{convert::Infallible, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, Response, StatusCode, header::SEC_WEBSOCKET_PROTOCOL};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, PathRules, Profiles, SessionBody,
    layers::AuthenticateLayer,
    request_class::RequestHead,
    token::TokenVerifier,
    transport::{Bearer, Transports, websocket_protocol},
};

use crate::test_stack::{SECRET, TestStack, patient, with};

fn handshake(path: &str, offered: &str) -> Request<()> {
    let request = Request::get(path).header("upgrade", "websocket");
    request.header(SEC_WEBSOCKET_PROTOCOL, offered).body(()).expect("a request")
}

/// A handler that opens a WebSocket, selects what the query of the URI says, and says in a header what
/// it was offered.
async fn open(request: Request<()>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    if let Some(offered) = request.headers().get(SEC_WEBSOCKET_PROTOCOL) {
        response.headers_mut().insert("x-offered", offered.clone());
    }
    if let Some(selected) = request.uri().query() {
        let selected = selected.parse().expect("a header value");
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, selected);
    }
    Ok(response)
}

type Opened = (StatusCode, Option<String>, Option<String>);

fn opened(response: &Response<SessionBody<String>>) -> Opened {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().expect("visible ASCII").to_owned())
    };
    (response.status(), header("x-offered"), header("sec-websocket-protocol"))
}

#[tokio::test]
async fn p10_the_whole_stack_and_the_layer_alone_remove_the_token_and_select_bearer() {
    let rules = PathRules::new().public("/public");
    let stack = TestStack::with(patient(), |builder| {
        builder.bearer().transport(websocket_protocol()).path_rules(rules)
    });
    let keys = Arc::new(JwtKeys::hs256(SECRET).expect("a secret"));
    let alone = AuthenticateLayer::new(TokenVerifier::new(keys), Profiles::new(patient()))
        .clock(stack.clock.clone())
        .transports(Transports::new().with(Bearer::new()).with(websocket_protocol()));
    let token = stack.sign_in().await;
    for (path, offered, seen, selected) in [
        ("/", format!("bearer, {token}"), "bearer", "bearer"),
        ("/", format!("v1, bearer, {token}, v2"), "v1, bearer, v2", "bearer"),
        ("/?v2", format!("v1, bearer, {token}, v2"), "v1, bearer, v2", "v2"),
    ] {
        let expected =
            (StatusCode::SWITCHING_PROTOCOLS, Some(seen.to_owned()), Some(selected.to_owned()));
        let request = || handshake(path, &offered);
        let Ok(response) = stack.sessions.layer().layer(service_fn(open)).oneshot(request()).await;
        assert_eq!(opened(&response), expected, "{offered}");
        let Ok(response) = alone.layer(service_fn(open)).oneshot(request()).await;
        assert_eq!(opened(&response), expected, "{offered}");
    }
    // Nobody is authenticated on a public path, and the token is removed there, too.
    let request = handshake("/public", &format!("v1, bearer, {token}"));
    let Ok(response) = stack.sessions.layer().layer(service_fn(open)).oneshot(request).await;
    let (_, seen, selected) = opened(&response);
    assert_eq!((seen.as_deref(), selected.as_deref()), (Some("v1, bearer"), Some("bearer")));
}

#[tokio::test]
async fn bearer_is_selected_in_the_response_that_opens_and_only_if_offered() {
    let stack =
        TestStack::with(patient(), |builder| builder.bearer().transport(websocket_protocol()));
    let token = stack.sign_in().await;
    let refused = stack.send(handshake("/", &format!("bearer, {token}"))).await;
    assert_eq!(
        (refused.status(), refused.headers().get(SEC_WEBSOCKET_PROTOCOL)),
        (StatusCode::OK, None)
    );
    let mut with_header = with(&token);
    with_header.headers_mut().extend(handshake("/", "v1").headers().clone());
    let Ok(response) = stack.sessions.layer().layer(service_fn(open)).oneshot(with_header).await;
    assert_eq!(opened(&response), (StatusCode::SWITCHING_PROTOCOLS, Some("v1".to_owned()), None));
}

#[tokio::test]
async fn a_handshake_is_signed_out_by_its_subprotocol() {
    let stack =
        TestStack::with(patient(), |builder| builder.bearer().transport(websocket_protocol()));
    for encoded in [false, true] {
        let token = stack.sign_in().await;
        let offered = if encoded {
            let encoded = URL_SAFE_NO_PAD.encode(&token);
            format!("base64url.bearer.authorization.k8s.io.{encoded}, v1")
        } else {
            format!("bearer, {token}")
        };
        let request = handshake("/", &offered);
        let signed_out = stack.sessions.sign_out_request(RequestHead::new(&request)).await;
        drop(signed_out.expect("it is signed out"));
        assert_eq!(stack.get(&token).await.status(), StatusCode::UNAUTHORIZED);
    }
    let bad = handshake("/", "base64url.bearer.authorization.k8s.io.!, v1");
    let refused = stack.sessions.sign_out_request(RequestHead::new(&bad)).await;
    assert_eq!(refused.expect_err("not base64url").code(), "invalid_token");
}
