//! The responses of rejections: problem details, challenges, gRPC.

use std::sync::Arc;

use http::{HeaderValue, Method, Request, StatusCode};
use tower_sliding_session::{Policy, Rejection, RejectionKind, sessions::SlidingSessionsBuilder};

use crate::test_stack::{
    HOUR, MINUTE, TestStack, by, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    patient, text,
};

/// A stack, and for each kind of rejection a request that gets it.
pub(crate) async fn refused(kind: RejectionKind) -> (TestStack, Request<()>) {
    refused_by(kind, StoreBehavior::Ready, |builder| builder).await
}

/// The same with these settings, over a store whose answers are ready or not.
pub(crate) async fn refused_by(
    kind: RejectionKind,
    behavior: StoreBehavior,
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> (TestStack, Request<()>) {
    let store = Arc::new(FaultyStore::new(behavior));
    let policy = Policy::builder()
        .idle_timeout(20 * MINUTE)
        .absolute_timeout(2 * HOUR)
        .build()
        .expect("a legal configuration");
    let policy = if kind == RejectionKind::TokenExpired { patient() } else { policy };
    let stack = TestStack::with(policy, |builder| set(builder.store(Arc::clone(&store))));
    let token = stack.sign_in().await;
    let mut request = by(Method::GET, &token).body(()).expect("a request");
    match kind {
        RejectionKind::MissingToken => request.headers_mut().clear(),
        RejectionKind::InvalidToken => {
            request.headers_mut().insert("authorization", HeaderValue::from_static("Bearer x"));
        }
        RejectionKind::TokenExpired => drop(stack.at(HOUR)),
        RejectionKind::SessionExpiredIdle => drop(stack.at(20 * MINUTE)),
        RejectionKind::SessionRevoked => {
            let sid = claims(&token)["sid"].as_str().expect("a name").to_owned();
            stack.sessions.revoke(&sid).await.expect("the session is revoked");
        }
        RejectionKind::StoreUnavailable => store.behave(StoreBehavior::Failing),
        other => panic!("{other:?} is of another layer"),
    }
    (stack, request)
}

pub(crate) const KINDS: [RejectionKind; 6] = [
    RejectionKind::MissingToken,
    RejectionKind::InvalidToken,
    RejectionKind::TokenExpired,
    RejectionKind::SessionExpiredIdle,
    RejectionKind::SessionRevoked,
    RejectionKind::StoreUnavailable,
];

#[tokio::test]
async fn an_http_rejection_is_problem_details_with_a_challenge() {
    for (kind, code, status, challenge) in [
        (RejectionKind::MissingToken, "missing_token", 401, Some("Bearer")),
        (
            RejectionKind::InvalidToken,
            "invalid_token",
            401,
            Some(r#"Bearer error="invalid_token", error_description="The token is not valid.""#),
        ),
        (
            RejectionKind::TokenExpired,
            "token_expired",
            401,
            Some(
                r#"Bearer error="invalid_token", error_description="The access token expired. Refresh it.""#,
            ),
        ),
        (
            RejectionKind::SessionExpiredIdle,
            "session_expired_idle",
            401,
            Some(
                r#"Bearer error="invalid_token", error_description="The session expired after 20 minutes without activity.""#,
            ),
        ),
        (
            RejectionKind::SessionRevoked,
            "session_revoked",
            401,
            Some(r#"Bearer error="invalid_token", error_description="The session was revoked.""#),
        ),
        (RejectionKind::StoreUnavailable, "store_unavailable", 503, None),
    ] {
        let (stack, request) = refused(kind).await;
        let response = stack.send(request).await;
        assert_eq!(response.status().as_u16(), status, "{code}");
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().expect("UTF-8").to_owned())
        };
        assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(header("www-authenticate").as_deref(), challenge, "{code}");
        let seconds = header("retry-after").map(|text| text.parse::<u64>().expect("seconds"));
        assert_eq!(seconds.is_some_and(|seconds| (1..=3).contains(&seconds)), status == 503);
        let rejection = *response.extensions().get::<Rejection>().expect("in the extensions");
        assert_eq!((rejection.kind(), rejection.code()), (kind, code));
        let problem: serde_json::Value =
            serde_json::from_str(&text(response).await).expect("an object");
        assert_eq!(
            problem,
            serde_json::json!({
                "type": "about:blank", "title": rejection.to_string(), "status": status, "code": code,
            })
        );
    }
}

#[tokio::test]
async fn a_grpc_rejection_is_a_trailers_only_status() {
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;x=y"] {
        for kind in KINDS {
            let (stack, mut request) = refused(kind).await;
            request
                .headers_mut()
                .insert("content-type", content_type.parse().expect("a content type"));
            let response = stack.send(request).await;
            assert_eq!(response.status(), StatusCode::OK);
            let headers = response.headers();
            assert_eq!(headers["content-type"], "application/grpc");
            let status = if kind == RejectionKind::StoreUnavailable { "14" } else { "16" };
            assert_eq!(headers["grpc-status"], status, "{kind:?}");
            let rejection = response.extensions().get::<Rejection>().expect("in the extensions");
            assert_eq!(headers["grpc-message"], rejection.to_string());
            assert_eq!(headers["session-error"], kind.code());
            assert!(http_body::Body::is_end_stream(response.body()), "one HEADERS frame");
            assert_eq!(text(response).await, "");
        }
    }
}

#[tokio::test]
async fn a_grpc_web_rejection_has_its_own_content_type() {
    for content_type in ["application/grpc-web+proto", "application/grpc-web-text"] {
        let (stack, mut request) = refused(RejectionKind::InvalidToken).await;
        request.headers_mut().insert("content-type", content_type.parse().expect("a content type"));
        let response = stack.send(request).await;
        assert_eq!(response.headers()["content-type"], content_type);
        assert_eq!(response.headers()["grpc-status"], "16");
    }
}

#[test]
fn every_title_needs_no_percent_encoding() {
    for code in [
        "missing_token",
        "invalid_token",
        "token_expired",
        "session_expired_idle",
        "session_expired_absolute",
        "session_revoked",
        "invalid_refresh_token",
        "refresh_token_reused",
        "recent_authentication_required",
        "store_unavailable",
    ] {
        let title = RejectionKind::from_code(code).expect("a known code").title();
        assert!(title.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'%'), "{title}");
        assert!(!title.contains(['"', '\\']), "{title} must fit in a quoted string");
    }
}

#[tokio::test]
async fn a_successful_response_carries_no_rejection() {
    let stack = TestStack::new(patient());
    let token = stack.sign_in().await;
    let response = stack.get(&token).await;
    assert!(response.extensions().get::<Rejection>().is_none());
    assert_eq!(text(response).await, "ok");
}

#[tokio::test]
async fn p39_clients_of_a_failed_store_come_back_at_different_times() {
    let mut seconds = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let (stack, request) = refused(RejectionKind::StoreUnavailable).await;
        let response = stack.send(request).await;
        seconds.insert(response.headers()["retry-after"].to_str().expect("text").to_owned());
    }
    assert_eq!(seconds.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
}
