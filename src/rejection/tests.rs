use std::{pin::Pin, task::Context, time::Duration};

use ::http::{
    HeaderValue, Request,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;
use http_body::Body;

use super::{protocol::Protocol, *};
use crate::{body::SessionBody, request_class::RequestHead};

const REASONS: [InvalidTokenReason; 19] = [
    InvalidTokenReason::NoToken,
    InvalidTokenReason::SeveralTokens,
    InvalidTokenReason::TooLong,
    InvalidTokenReason::Malformed,
    InvalidTokenReason::MalformedHeader,
    InvalidTokenReason::CriticalHeader,
    InvalidTokenReason::Type,
    InvalidTokenReason::UnknownKey,
    InvalidTokenReason::Algorithm,
    InvalidTokenReason::Signature,
    InvalidTokenReason::MalformedPayload,
    InvalidTokenReason::MalformedClaim("sub"),
    InvalidTokenReason::MissingClaim("exp"),
    InvalidTokenReason::Issuer,
    InvalidTokenReason::Audience,
    InvalidTokenReason::NotYetValid,
    InvalidTokenReason::IssuedInFuture,
    InvalidTokenReason::IssuedBeforeSignIn,
    InvalidTokenReason::LegacyToken,
];

const CAUSES: [RevocationCause; 7] = [
    RevocationCause::Tombstone,
    RevocationCause::UserCutoff,
    RevocationCause::SubjectCutoff,
    RevocationCause::AccountCutoff,
    RevocationCause::IssuerCutoff,
    RevocationCause::KeyCutoff,
    RevocationCause::UnknownSession,
];

/// The content types of clients of each protocol: HTTP, gRPC, gRPC-Web, Connect.
const CLIENTS: [&str; 4] = [
    "application/json",
    "application/grpc",
    "application/grpc-web-text",
    "application/connect+proto",
];

/// Everything that a client receives of `rejection`, and its `Display`, but how long it shall wait: that is
/// random.
fn answer(rejection: Rejection, content_type: &'static str) -> String {
    type TestBody = SessionBody<String>;
    let mut request = Request::new(());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let response = rejection.into_response::<String>(RequestHead::new(&request), None);
    let (mut parts, mut body) = response.into_parts();
    parts.headers.remove(RETRY_AFTER);
    assert_eq!(parts.extensions.get(), Some(&rejection), "the extensions contain the rejection");
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut bytes = Bytes::new();
    while let std::task::Poll::Ready(Some(frame)) =
        <TestBody as Body>::poll_frame(Pin::new(&mut body), &mut cx)
    {
        bytes = frame.expect("a frame").into_data().expect("data");
    }
    format!("{:?} {:?} {:?} {rejection} {bytes:?}", parts.status, parts.version, parts.headers)
}

#[test]
fn a_code_names_its_kind() {
    for kind in RejectionKind::ALL {
        assert_eq!(RejectionKind::from_code(kind.code()), Some(kind));
    }
    assert_eq!(RejectionKind::from_code("ok"), None);
}

fn causes() -> Vec<RejectionCause> {
    let reasons = REASONS.map(RejectionCause::InvalidToken);
    let mut causes = vec![RejectionCause::ActivityUnwritten];
    causes.extend(reasons.into_iter().chain(CAUSES.map(RejectionCause::Revoked)));
    causes
}

#[test]
fn p10_no_byte_of_a_response_depends_on_the_cause() {
    for kind in RejectionKind::ALL {
        for client in CLIENTS {
            let without_cause = answer(kind.into(), client);
            for cause in causes() {
                let rejection = Rejection::from(kind).with_cause(cause);
                assert_eq!(rejection.cause(), Some(cause));
                assert_eq!(answer(rejection, client), without_cause, "{cause}");
            }
        }
    }
}

#[test]
fn every_protocol_has_the_code_in_a_header() {
    for kind in RejectionKind::ALL {
        for client in CLIENTS {
            let header = format!(r#""session-error": "{}""#, kind.code());
            assert!(answer(kind.into(), client).contains(&header), "{header}");
        }
    }
}

#[test]
fn causes_have_different_names_and_texts() {
    let causes = causes();
    let texts: std::collections::BTreeSet<_> =
        causes.iter().flat_map(|cause| [cause.as_str().to_owned(), cause.to_string()]).collect();
    assert_eq!(texts.len(), 2 * causes.len());
    let claim = InvalidTokenReason::MalformedClaim("sid");
    assert_eq!(claim.to_string(), "the claim `sid` is malformed");
}

#[test]
fn the_idle_timeout_is_named_if_it_is_known() {
    let known = Rejection::session_expired_idle(Duration::from_secs(20 * 60));
    assert_eq!(known.kind(), RejectionKind::SessionExpiredIdle);
    let title = "The session expired after 20 minutes without activity.";
    assert_eq!(known.to_string(), title);
    // Once in `Display`, which `answer` adds; in body and challenge, or in `grpc-message`.
    for (client, times) in CLIENTS.into_iter().zip([3, 2, 2, 2]) {
        assert_eq!(answer(known, client).matches(title).count(), times);
    }
    let unknown = Rejection::new(RejectionKind::SessionExpiredIdle);
    assert_eq!(unknown.to_string(), "The session expired after a time without activity.");
}

#[test]
fn the_protocol_follows_the_content_type() {
    let of = |request: Request<()>| Protocol::from_head(RequestHead::new(&request));
    let protocol = |content_type: &'static str| {
        let mut request = Request::new(());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        of(request)
    };
    assert_eq!(of(Request::new(())), Protocol::Http);
    for stream in ["application/connect+proto", "Application/Connect+JSON", "application/connect"] {
        assert_eq!(protocol(stream), Protocol::ConnectStream(HeaderValue::from_static(stream)));
    }
    let unary = |version: &str| {
        let request = Request::post("/s/M").header("content-type", "application/json");
        of(request.header("connect-protocol-version", version).body(()).expect("a request"))
    };
    assert_eq!((unary("1"), unary("2")), (Protocol::Connect, Protocol::Http));
    for (method, uri, expected) in [
        ("GET", "/s/M?encoding=json&connect=v1&message=%7B%7D", Protocol::Connect),
        ("POST", "/s/M?connect=v1", Protocol::Http),
        ("GET", "/s/M?connect=v2", Protocol::Http),
        ("GET", "/s/M?xconnect=v1", Protocol::Http),
        ("GET", "/s/M", Protocol::Http),
    ] {
        let request = Request::builder().method(method).uri(uri).body(()).expect("a request");
        assert_eq!(of(request), expected, "{method} {uri}");
    }
    for grpc in ["application/grpc", "Application/gRPC+proto", "application/grpc; x=y"] {
        assert_eq!(protocol(grpc), Protocol::Grpc, "{grpc}");
    }
    for web in ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"] {
        assert_eq!(protocol(web), Protocol::GrpcWeb(HeaderValue::from_static(web)), "{web}");
    }
    for http in
        ["application/connected", "application/json", "application/grpcurl", "application/grp", ""]
    {
        assert_eq!(protocol(http), Protocol::Http, "{http}");
    }
}

#[test]
fn the_readme_and_the_guide_list_every_code() {
    let pages = [
        ("README.md", include_str!("../../README.md")),
        ("src/guide/client.rs", include_str!("../guide/client.rs")),
    ];
    for kind in RejectionKind::ALL {
        let code = format!("`{}`", kind.code());
        for (name, page) in pages {
            assert!(page.contains(&code), "{name}: {code} is missing");
        }
    }
}

#[test]
fn connect_has_a_code_for_every_kind() {
    for kind in RejectionKind::ALL {
        let expected = match kind.status().as_u16() {
            401 => "unauthenticated",
            403 => "permission_denied",
            _ => "unavailable",
        };
        let unary = connect::response::<String>(kind.into());
        assert_eq!(unary.status(), kind.status());
        assert_eq!(unary.headers()["content-type"], "application/json");
        assert_eq!(unary.headers()["cache-control"], "no-store");
        let end = answer(kind.into(), "application/connect+json");
        assert!(end.starts_with("200 "), "{end}");
        let code = format!(r#"{{\"code\":\"{expected}\","#);
        assert!(end.contains(&code), "{code} in {end}");
        let metadata = format!(r#"\"session-error\":[\"{}\"]"#, kind.code());
        assert!(end.contains(&metadata), "{metadata} in {end}");
    }
}
