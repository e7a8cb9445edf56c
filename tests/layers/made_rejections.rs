//! Responses that an application makes in place of the problem details.

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_sliding_session::{
    Rejection, RejectionKind,
    layers::{RequireRecentAuthLayer, RequireSessionLayer},
    request_class::RequestHead,
};

use crate::{
    rejections::{KINDS, refused_by},
    stale_cookies::{request, session, set_cookies, stack},
    test_stack::{MINUTE, TestStack, faulty_store::StoreBehavior, ok, patient, text},
};

const BEHAVIORS: [StoreBehavior; 2] = [StoreBehavior::Ready, StoreBehavior::Pending];

/// Sends a browser that navigates to the sign-in page, with the path that it asked for.
fn to_sign_in(_: &Rejection, head: RequestHead<'_>) -> Option<Response<Bytes>> {
    head.headers().get("sec-fetch-mode").filter(|mode| *mode == "navigate")?;
    let location = format!("/login?next={}", head.path());
    let redirect = Response::builder().status(StatusCode::SEE_OTHER).header(LOCATION, location);
    redirect.body(Bytes::new()).ok()
}

#[tokio::test]
async fn a_made_response_replaces_status_headers_and_body() {
    for behavior in BEHAVIORS {
        for kind in KINDS {
            if kind == RejectionKind::StoreUnavailable {
                continue;
            }
            let (stack, mut request) =
                refused_by(kind, behavior, |builder| builder.rejections(to_sign_in)).await;
            *request.uri_mut() = "/inbox/7?folder=a".parse().expect("a path");
            let script = stack.send(request.clone()).await;
            assert_eq!(script.headers()["content-type"], "application/problem+json", "{kind:?}");
            assert_eq!(script.status(), StatusCode::UNAUTHORIZED);

            request.headers_mut().insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
            let page = stack.send(request).await;
            assert_eq!(page.status(), StatusCode::SEE_OTHER, "{kind:?} {behavior:?}");
            assert_eq!(page.headers()["location"], "/login?next=/inbox/7");
            assert_eq!(page.headers()["session-error"], kind.code());
            assert_eq!(page.headers()["cache-control"], "no-store");
            let rejection = page.extensions().get::<Rejection>().expect("in the extensions");
            assert_eq!(rejection.kind(), kind);
            assert_eq!(text(page).await, "");
        }
    }
}

#[tokio::test]
async fn p39_a_503_is_never_a_sign_in_page() {
    let kind = RejectionKind::StoreUnavailable;
    let (stack, mut request) =
        refused_by(kind, StoreBehavior::Failing, |builder| builder.rejections(to_sign_in)).await;
    request.headers_mut().insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
    let page = stack.send(request).await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.headers()["content-type"], "application/problem+json");
    assert!(page.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_refused_request_does_not_look_successful() {
    for (made, sent) in [(200, 401), (204, 401), (100, 401), (304, 401), (303, 303), (403, 403)] {
        let make = move |_: &Rejection, _: RequestHead<'_>| {
            let page = Response::builder().status(made).header(CONTENT_TYPE, "text/html");
            page.body(Bytes::from_static(b"<p>Sign in.</p>")).ok()
        };
        let stack = TestStack::with(patient(), |builder| builder.rejections(make));
        let page = stack.send(request(&[])).await;
        assert_eq!(page.status().as_u16(), sent, "{made}");
        assert_eq!(page.headers()["content-type"], "text/html");
        assert_eq!(page.headers().contains_key("www-authenticate"), sent == 401);
        assert_eq!(text(page).await, "<p>Sign in.</p>");
    }
}

#[tokio::test]
async fn a_made_challenge_stays() {
    let make = |_: &Rejection, _: RequestHead<'_>| {
        let page = Response::builder().status(401).header("www-authenticate", "Form");
        page.body(Bytes::new()).ok()
    };
    let stack = TestStack::with(patient(), |builder| builder.rejections(make));
    assert_eq!(stack.send(request(&[])).await.headers()["www-authenticate"], "Form");
}

#[tokio::test]
async fn p09_no_cache_stores_a_made_response() {
    const FIELDS: [&str; 9] = [
        "expires",
        "x-accel-expires",
        "cdn-cache-control",
        "cloudflare-cdn-cache-control",
        "x-litespeed-cache-control",
        "edge-control",
        "surrogate-control",
        "content-length",
        "transfer-encoding",
    ];
    let make = |_: &Rejection, _: RequestHead<'_>| {
        let mut page = Response::new(Bytes::from_static(b"Sign in."));
        for name in FIELDS {
            page.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static("9"));
            page.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static("8"));
        }
        let public = HeaderValue::from_static("public, max-age=60");
        page.headers_mut().append("cache-control", public.clone());
        page.headers_mut().append("cache-control", public);
        Some(page)
    };
    let stack = TestStack::with(patient(), |builder| builder.rejections(make));
    let page = stack.send(request(&[])).await;
    for name in FIELDS {
        assert!(!page.headers().contains_key(name), "{name}");
    }
    let caching: Vec<_> = page.headers().get_all("cache-control").iter().collect();
    assert_eq!(caching, ["no-store"]);
    assert_eq!(text(page).await, "Sign in.");
}

/// The late response to a request of an old page must not delete the cookie of a new sign-in.
#[tokio::test]
async fn p34_a_made_response_sets_no_cookie_and_the_stack_clears_that_of_an_ended_session() {
    let make = |_: &Rejection, _: RequestHead<'_>| {
        let page = Response::builder().status(303).header(LOCATION, "/login");
        let cleared = "__Host-session=; Path=/; Secure; Max-Age=0";
        page.header(SET_COOKIE, cleared).header(SET_COOKIE, "a=b").body(Bytes::new()).ok()
    };
    let stack = stack(|builder| builder.rejections(make));
    let token = stack.sign_in().await;
    stack.at(20 * MINUTE);
    let cookie = session(&token);
    let script = stack.send(request(&[("cookie", &cookie)])).await;
    assert_eq!((script.status().as_u16(), set_cookies(script.headers()).len()), (303, 0));
    let navigation = [("cookie", &*cookie), ("sec-fetch-mode", "navigate")];
    let page = stack.send(request(&navigation)).await;
    let [cleared] = &set_cookies(page.headers())[..] else { panic!("one cookie") };
    assert_eq!(cleared, "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
}

#[tokio::test]
async fn a_client_of_grpc_gets_its_own_form() {
    for content_type in ["application/grpc", "application/grpc-web+proto"] {
        let (stack, mut request) =
            refused_by(RejectionKind::SessionRevoked, StoreBehavior::Ready, |builder| {
                builder.rejections(to_sign_in)
            })
            .await;
        request.headers_mut().insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let response = stack.send(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "16");
    }
}

#[tokio::test]
async fn every_layer_that_rejects_asks_for_the_response() {
    let handler = || service_fn(async |_| Ok::<_, std::convert::Infallible>(ok()));
    let navigation = || request(&[("sec-fetch-mode", "navigate")]);
    let require_session = RequireSessionLayer::new().rejections(to_sign_in).layer(handler());
    let Ok(response) = require_session.oneshot(navigation()).await;
    assert_eq!(response.headers()["location"], "/login?next=/");
    let recent = RequireRecentAuthLayer::new(MINUTE).rejections(to_sign_in).layer(handler());
    let Ok(response) = recent.oneshot(navigation()).await;
    assert_eq!(response.headers()["location"], "/login?next=/");
    assert_eq!(response.headers()["session-error"], "missing_token");
}
