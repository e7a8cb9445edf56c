//! The merged `Access-Control-Expose-Headers`, which lets scripts read response headers.

use std::convert::Infallible;

use http::{HeaderName, HeaderValue, Request, Response, header::ACCESS_CONTROL_EXPOSE_HEADERS};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    RejectionKind, SessionCookie, layers::ExposeHeadersLayer, sessions::SlidingSessionsBuilder,
};

use crate::test_stack::{TestStack, patient, rejected, with};

const TOKEN: HeaderName = HeaderName::from_static("x-refreshed-token");
const EXPIRES: HeaderName = HeaderName::from_static("session-expires");

/// The values of expose-headers that `layer` makes of `present`.
async fn exposed(layer: ExposeHeadersLayer, origin: bool, present: &[&str]) -> Vec<HeaderValue> {
    let mut own = Response::new(());
    for value in present {
        own.headers_mut().append(ACCESS_CONTROL_EXPOSE_HEADERS, value.parse().expect("a value"));
    }
    let service = layer.layer(service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(own.clone()))
    }));
    let mut request = Request::new(());
    if origin {
        let origin = HeaderValue::from_static("https://app.example");
        request.headers_mut().insert("origin", origin);
    }
    let Ok(response) = service.oneshot(request).await;
    response.headers().get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().cloned().collect()
}

fn ours() -> ExposeHeadersLayer {
    ExposeHeadersLayer::new([TOKEN, EXPIRES])
}

#[tokio::test]
async fn p26_the_apps_names_are_kept_and_ours_follow() {
    for (present, expected) in [
        (&[][..], "x-refreshed-token, session-expires"),
        (&["X-Request-Id"], "X-Request-Id, x-refreshed-token, session-expires"),
        (&["a, b,c"], "a, b, c, x-refreshed-token, session-expires"),
        (&["a,, ,b"], "a, b, x-refreshed-token, session-expires"),
        (&[""], "x-refreshed-token, session-expires"),
    ] {
        assert_eq!(exposed(ours(), true, present).await, [expected], "{present:?}");
    }
}

#[tokio::test]
async fn p26_several_header_lines_are_merged() {
    let lines = ["X-Request-Id, ETag", "x-total-count", "Session-Expires"];
    let expected = "X-Request-Id, ETag, x-total-count, Session-Expires, x-refreshed-token";
    assert_eq!(exposed(ours(), true, &lines).await, [expected]);
}

#[tokio::test]
async fn p26_names_are_compared_without_case_and_listed_once() {
    for present in ["X-Refreshed-Token", "X-REFRESHED-TOKEN", "x-refreshed-token"] {
        let expected = format!("{present}, session-expires");
        assert_eq!(exposed(ours(), true, &[present]).await, [&*expected]);
        let twice = format!("{present}, X-Refreshed-token");
        assert_eq!(exposed(ours(), true, &[&twice]).await, [&*expected]);
        assert_eq!(exposed(ours(), true, &[present, "X-Refreshed-token"]).await, [&*expected]);
    }
}

#[tokio::test]
async fn p26_a_name_inside_a_longer_name_is_not_a_match() {
    let expected = "x-refreshed-token-id, x-refreshed-token, session-expires";
    assert_eq!(exposed(ours(), true, &["x-refreshed-token-id"]).await, [expected]);
}

#[tokio::test]
async fn p26_a_wildcard_is_kept_and_the_names_are_added() {
    let expected = "*, x-refreshed-token, session-expires";
    assert_eq!(exposed(ours(), true, &["*"]).await, [expected]);
}

#[tokio::test]
async fn p26_a_request_without_origin_changes_nothing() {
    for present in [&[][..], &["*"], &["a,,b", "a"]] {
        assert_eq!(exposed(ours(), false, present).await, present, "{present:?}");
    }
}

#[tokio::test]
async fn p26_a_layer_without_names_changes_no_response() {
    for present in [&[][..], &["a,,b", "a"]] {
        let none = ExposeHeadersLayer::new([]);
        assert_eq!(exposed(none, true, present).await, present, "{present:?}");
    }
}

#[tokio::test]
async fn p26_the_stack_lists_each_name_once() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let mut request = with(&token);
    request.headers_mut().insert("origin", HeaderValue::from_static("https://app.example"));
    let own = Response::builder()
        .header(ACCESS_CONTROL_EXPOSE_HEADERS, "Retry-After, x-request-id")
        .body(String::new())
        .expect("a response");
    let response = stack.send_to(move |_| std::future::ready(own.clone()), request).await;
    let values: Vec<_> = response.headers().get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().collect();
    assert_eq!(
        values,
        ["Retry-After, x-request-id, x-refreshed-token, session-expires, session-error, \
          www-authenticate, grpc-status, grpc-message"]
    );
}

#[tokio::test]
async fn p26_a_rejection_exposes_the_headers() {
    let stack = TestStack::with(patient(), |builder| {
        builder.renewed_token_header(HeaderName::from_static("x-next"))
    });
    let request = Request::builder().header("origin", "https://app.example").body(());
    let response = stack.send(request.expect("a request")).await;
    assert_eq!(rejected(&response), Some(RejectionKind::MissingToken));
    let listed = stack.sessions.exposed_headers();
    let listed = listed.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ");
    assert_eq!(response.headers()[ACCESS_CONTROL_EXPOSE_HEADERS], listed);
    assert!(listed.starts_with("x-next, "), "{listed}");
}

#[test]
fn the_headers_that_scripts_send_are_those_of_the_transports_and_of_the_stack() {
    let names = |set: fn(SlidingSessionsBuilder) -> SlidingSessionsBuilder| {
        let names = TestStack::with(patient(), set).sessions.request_headers();
        names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    let common = ["session-activity", "content-type"];
    assert_eq!(names(|builder| builder), [&["authorization"], &common[..]].concat());
    let cookie = |builder: SlidingSessionsBuilder| builder.session_cookie(SessionCookie::new());
    assert_eq!(names(cookie), common);
    let several: fn(_) -> _ = |builder: SlidingSessionsBuilder| {
        let builder = builder.token_header(HeaderName::from_static("x-token"));
        builder.bearer().session_cookie(SessionCookie::new())
    };
    assert_eq!(names(several), [&["x-token", "authorization"], &common[..]].concat());
}
