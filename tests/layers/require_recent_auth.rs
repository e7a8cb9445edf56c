//! Step-up authentication: routes that require a recent sign-in (RFC 9470).

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    ManualClock, Rejection, RejectionKind, Session, SessionBody, layers::RequireRecentAuthLayer,
};

use crate::test_stack::{BEGIN, HOUR, MILLI, TestStack, ok, patient, renewed, with};

const MAX_AGE: Duration = Duration::from_secs(300);

/// The response to `request` of a user who signed in at `BEGIN`, `after` that sign-in.
async fn ask(after: Duration, mut request: Request<()>) -> Response<SessionBody<String>> {
    let session =
        Session::builder("ada").sid("s1").auth_time(BEGIN).build().expect("a complete session");
    request.extensions_mut().insert(session);
    send(after, request).await
}

async fn send(after: Duration, request: Request<()>) -> Response<SessionBody<String>> {
    let clock = ManualClock::new(BEGIN + after);
    let layer = RequireRecentAuthLayer::new(MAX_AGE).clock(Arc::new(clock));
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new("ok".to_owned()))
    }));
    let Ok(response) = service.oneshot(request).await;
    response
}

fn kind(response: &Response<SessionBody<String>>) -> Option<RejectionKind> {
    response.extensions().get().map(Rejection::kind)
}

#[tokio::test]
async fn a_sign_in_exactly_max_age_ago_is_too_old() {
    let too_old = Some(RejectionKind::RecentAuthenticationRequired);
    for (after, expected) in [
        (Duration::ZERO, None),
        (MAX_AGE - MILLI, None),
        (MAX_AGE, too_old),
        (MAX_AGE + MILLI, too_old),
    ] {
        let response = ask(after, Request::new(())).await;
        assert_eq!(kind(&response), expected, "{after:?}");
        assert_eq!(response.status() == StatusCode::OK, expected.is_none(), "{after:?}");
    }
}

#[tokio::test]
async fn the_challenge_names_max_age() {
    let response = ask(MAX_AGE, Request::new(())).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()["www-authenticate"],
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"Sign in again to continue.\", max_age=300"
    );
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(problem["code"], "recent_authentication_required");
    assert_eq!(problem["status"], 401);
}

#[tokio::test]
async fn a_grpc_rejection_is_a_status() {
    for (asked, answered) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web+proto"),
    ] {
        let request = Request::builder().header("content-type", asked).body(());
        let response = ask(MAX_AGE, request.expect("a request")).await;
        assert_eq!(response.status(), StatusCode::OK);
        let headers = response.headers();
        assert_eq!(headers["content-type"], answered);
        assert_eq!(headers["grpc-status"], "16");
        assert_eq!(headers["session-error"], "recent_authentication_required");
        assert!(headers.contains_key("grpc-message"));
        assert!(http_body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn p27_a_request_without_a_session_is_rejected() {
    let response = send(Duration::ZERO, Request::new(())).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(kind(&response), Some(RejectionKind::MissingToken));
}

#[tokio::test]
async fn a_renewal_is_not_a_sign_in() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let response = stack.at(HOUR / 2 + MILLI).get(&token).await;
    let successor = renewed(&response).expect("renewal is due");
    let layer = RequireRecentAuthLayer::new(MAX_AGE).clock(Arc::new(stack.clock.clone()));
    let asking = async |request: Request<()>| {
        let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(ok()));
        let Ok(response) = layer.clone().layer(inner).oneshot(request).await;
        assert_eq!(kind(&response), Some(RejectionKind::RecentAuthenticationRequired));
        ok()
    };
    assert_eq!(stack.send_to(asking, with(&successor)).await.status(), StatusCode::OK);
}
