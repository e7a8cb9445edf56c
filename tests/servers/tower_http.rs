//! The stack inside and outside the layers of tower-http, over TCP.

use std::{convert::Infallible, future, time::Duration};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request,
};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};
use tower_http::{
    LatencyUnit,
    compression::CompressionLayer,
    cors::CorsLayer,
    timeout::TimeoutLayer,
    trace::{DefaultOnRequest, DefaultOnResponse, TraceLayer},
};
use tower_sliding_session::{Session, SessionCookie, layers::ExposeHeadersLayer};
use tracing::Level;

use crate::{
    client::Client,
    hyper_server,
    stack::{RENEWAL_DUE, stack},
    test_stack::recorded_log::RecordedLog,
};

const ORIGIN: &str = "https://app.example";
const MOMENT: Duration = Duration::from_millis(1);

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(600);

async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = Full::from(Bytes::from_static(&[b'a'; 1024]));
    Ok(Response::builder().header("x-page", "reached").body(body).expect("a response"))
}

async fn hang(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    future::pending().await
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(ORIGIN))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
}

fn timeout(limit: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, limit)
}

fn preflight() -> request::Builder {
    Request::options("/documents")
        .header("origin", ORIGIN)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
}

fn from_browser(bearer: &str) -> request::Builder {
    Request::get("/documents").header("origin", ORIGIN).header(AUTHORIZATION, bearer)
}

fn exposed(response: &Response<Bytes>) -> Vec<&str> {
    let names = response.headers().get_all("access-control-expose-headers");
    let names = names.iter().map(|names| names.to_str().expect("UTF-8"));
    names.flat_map(|names| names.split(',')).map(str::trim).collect()
}

macro_rules! caller {
    ($($layer:expr),* => $handler:expr) => {{
        let service = ServiceBuilder::new()$(.layer($layer))*.service(service_fn($handler));
        Client::new(hyper_server::serve(service, Version::HTTP_11).await, Version::HTTP_11)
    }};
}

#[tokio::test]
async fn a_browser_passes_cors_outside_the_stack() {
    let stack = stack(|builder| builder);
    let caller = caller!(cors(), stack.sessions.layer() => page);
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);

    let response = caller.send(preflight()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN);
    assert_eq!(response.headers()["access-control-allow-methods"], "GET,POST");
    assert_eq!(response.headers()["access-control-allow-headers"], "authorization,content-type");
    assert!(!response.headers().contains_key("x-page"), "a preflight reaches no handler");

    let response = caller.send(from_browser(&bearer)).await;
    assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN);
    assert!(response.headers().contains_key("x-refreshed-token"));
    assert!(exposed(&response).contains(&"x-refreshed-token"));
}

#[tokio::test]
async fn a_browser_can_read_a_401_only_if_cors_is_outside() {
    let stack = stack(|builder| builder);
    let outside = caller!(cors(), stack.sessions.layer() => page);
    let inside = caller!(stack.sessions.layer(), cors() => page);
    let readable = outside.send(from_browser("Bearer a.b.c")).await;
    assert_eq!(readable.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(readable.headers()["access-control-allow-origin"], ORIGIN);
    assert_eq!(readable.headers()["access-control-allow-credentials"], "true");
    assert!(exposed(&readable).contains(&"www-authenticate"));

    let unreadable = inside.send(from_browser("Bearer a.b.c")).await;
    assert_eq!(unreadable.status(), StatusCode::UNAUTHORIZED);
    assert!(!unreadable.headers().contains_key("access-control-allow-origin"));
    assert_eq!(inside.send(preflight()).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn exposed_headers_are_merged_wherever_cors_sets_its_own() {
    let stack = stack(|builder| builder);
    let names = stack.sessions.exposed_headers();
    let own = HeaderName::from_static("x-request-id");
    let with_own = || cors().expose_headers([own.clone()]);
    let both: Vec<_> = [&own].into_iter().chain(&names).cloned().collect();

    let inside = caller!(stack.sessions.layer(), with_own() => page);
    let wrapped = caller!(
        ExposeHeadersLayer::new(names.clone()), with_own(), stack.sessions.layer() => page
    );
    let listed = caller!(cors().expose_headers(both.clone()), stack.sessions.layer() => page);
    let bearer = stack.sign_in_bearer().await;
    for caller in [inside, wrapped, listed] {
        assert_eq!(exposed(&caller.send(from_browser(&bearer)).await), both);
    }
}

#[tokio::test]
async fn a_preflight_allows_the_headers_that_the_stack_reads() {
    let stack =
        stack(|builder| builder.bearer().token_header(HeaderName::from_static("x-access-token")));
    let cors = CorsLayer::new()
        .allow_origin(HeaderValue::from_static(ORIGIN))
        .allow_headers(stack.sessions.request_headers());
    let caller = caller!(cors, stack.sessions.layer() => page);
    let response = caller.send(preflight()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()["access-control-allow-headers"],
        "authorization,x-access-token,session-activity,content-type"
    );
}

#[tokio::test]
async fn a_timeout_layer_on_either_side_prevents_renewal() {
    let stack = stack(|builder| builder);
    let outside = caller!(timeout(MOMENT), stack.sessions.layer() => hang);
    let inside = caller!(stack.sessions.layer(), timeout(MOMENT) => hang);
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);
    for caller in [outside, inside] {
        let response = caller.send(from_browser(&bearer)).await;
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert!(response.body().is_empty());
        assert!(!response.headers().contains_key("x-refreshed-token"));
    }
}

#[tokio::test]
async fn compression_on_either_side_keeps_the_renewed_token() {
    let stack = stack(|builder| builder);
    let outside = caller!(CompressionLayer::new(), stack.sessions.layer() => page);
    let inside = caller!(stack.sessions.layer(), CompressionLayer::new() => page);
    for caller in [&outside, &inside] {
        let bearer = stack.sign_in_bearer().await;
        stack.clock.advance(RENEWAL_DUE);
        let request = from_browser(&bearer).header("accept-encoding", "gzip");
        let response = caller.send(request).await;
        assert_eq!(response.headers()["content-encoding"], "gzip");
        assert!(response.body().starts_with(&[0x1f, 0x8b]), "the magic number of gzip");
        assert!(response.headers().contains_key("x-refreshed-token"));
    }
    let request = Request::get("/documents").header("accept-encoding", "gzip");
    let rejection = outside.send(request).await;
    assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(rejection.headers()["content-encoding"], "gzip");
    assert!(rejection.body().starts_with(&[0x1f, 0x8b]));
}

#[tokio::test(flavor = "current_thread")]
async fn p10_no_trace_holds_a_token() {
    // The server's tasks run on this thread too.
    let (log, _recording) = RecordedLog::start();
    let trace = || {
        TraceLayer::new_for_http()
            .on_request(DefaultOnRequest::new().level(Level::INFO))
            .on_response(
                DefaultOnResponse::new()
                    .level(Level::INFO)
                    .latency_unit(LatencyUnit::Nanos)
                    .include_headers(true),
            )
    };
    let mirror = SessionCookie::named("mirror", "/").expect("a cookie");
    let stack = stack(|builder| builder.mirror_cookie(mirror).session_expires());
    let caller = caller!(trace(), stack.sessions.layer(), trace() => async |request| {
        let session = Request::extensions(&request).get::<Session>().cloned();
        tracing::info!(?session, "handled");
        page(request).await
    });
    let bearer = stack.sign_in_bearer().await;
    stack.clock.advance(RENEWAL_DUE);
    let response = caller.send(from_browser(&bearer)).await;
    let renewed = response.headers()["x-refreshed-token"].to_str().expect("a token");
    let forged = format!("{bearer}x");
    assert_eq!(caller.send(from_browser(&forged)).await.status(), StatusCode::UNAUTHORIZED);

    let text = log.text();
    for expected in ["handled", "x-refreshed-token", "set-cookie", "finished processing"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    for token in [bearer.trim_start_matches("Bearer "), renewed] {
        for part in token.split('.') {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}

#[tokio::test]
async fn every_layer_composes_in_both_orders() {
    let stack = stack(|builder| builder);
    let outside = caller!(
        TraceLayer::new_for_http(), CompressionLayer::new(), cors(), timeout(LONG),
        stack.sessions.layer() => page
    );
    let inside = caller!(
        stack.sessions.layer(),
        TraceLayer::new_for_http(), CompressionLayer::new(), cors(), timeout(LONG) => page
    );
    // One stack around another: a gateway and a service in one process.
    let nested = caller!(
        timeout(LONG), stack.sessions.layer(), cors(), stack.sessions.layer().optional() => page
    );
    let bearer = stack.sign_in_bearer().await;
    for caller in [outside, inside, nested] {
        let response = caller.send(from_browser(&bearer)).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-page"], "reached");
        assert_eq!(response.body().len(), 1024);
    }
}
