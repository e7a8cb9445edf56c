//! Why a request was turned away, said in the caller's language.

mod response_future;

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

pub use self::response_future::ResponseFuture;
use crate::{body::SessionBody, rules::ExpiryReason};

/// The code of a rejection, in a response to a gRPC request.
pub(crate) const SESSION_ERROR: HeaderName = HeaderName::from_static("session-error");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What a rejection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// A token is required and none was presented.
    MissingToken,
    /// The token proves nothing: malformed, forged, or meant for somebody else.
    InvalidToken,
    /// The token has ended and the session lives: refresh it.
    TokenExpired,
    /// Nothing was done for too long.
    SessionExpiredIdle,
    /// The session has reached its longest life.
    SessionExpiredAbsolute,
    /// The session was ended: signed out, or revoked.
    SessionRevoked,
    /// The refresh token proves nothing, is used up, or its session is over.
    InvalidRefreshToken,
    /// A refresh token was presented again: its session is revoked.
    RefreshTokenReused,
    /// The user signed in too long ago for this (RFC 9470).
    RecentAuthenticationRequired,
    /// A store that must be asked did not answer. Nobody is signed out by it.
    StoreUnavailable,
}

impl RejectionKind {
    const ALL: [Self; 10] = [
        Self::MissingToken,
        Self::InvalidToken,
        Self::TokenExpired,
        Self::SessionExpiredIdle,
        Self::SessionExpiredAbsolute,
        Self::SessionRevoked,
        Self::InvalidRefreshToken,
        Self::RefreshTokenReused,
        Self::RecentAuthenticationRequired,
        Self::StoreUnavailable,
    ];

    /// The stable code that clients act on, such as `session_expired_idle`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::SessionExpiredIdle => "session_expired_idle",
            Self::SessionExpiredAbsolute => "session_expired_absolute",
            Self::SessionRevoked => "session_revoked",
            Self::InvalidRefreshToken => "invalid_refresh_token",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::RecentAuthenticationRequired => "recent_authentication_required",
            Self::StoreUnavailable => "store_unavailable",
        }
    }

    /// The kind that `code` names.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// A sentence for people; it names no key, token, address or inner error.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::MissingToken => "Sign in to continue",
            Self::InvalidToken => "The token is not valid",
            Self::TokenExpired => "The token has expired; refresh it",
            Self::SessionExpiredIdle => "The session ended after a time without activity",
            Self::SessionExpiredAbsolute => "The session has reached its longest life",
            Self::SessionRevoked => "The session was ended",
            Self::InvalidRefreshToken => "The refresh token is not valid",
            Self::RefreshTokenReused => "The refresh token was used before; the session was ended",
            Self::RecentAuthenticationRequired => "Sign in again to continue",
            Self::StoreUnavailable => "The session could not be checked; try again",
        }
    }

    /// The HTTP status: 401, or 503 where a store did not answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// The gRPC status: 16 (`UNAUTHENTICATED`), or 14 (`UNAVAILABLE`).
    #[must_use]
    pub const fn grpc_status(self) -> u8 {
        match self {
            Self::StoreUnavailable => 14,
            _ => 16,
        }
    }
}

impl From<ExpiryReason> for RejectionKind {
    fn from(limit: ExpiryReason) -> Self {
        match limit {
            ExpiryReason::Absolute => Self::SessionExpiredAbsolute,
            ExpiryReason::Idle => Self::SessionExpiredIdle,
            ExpiryReason::Token => Self::TokenExpired,
        }
    }
}

/// Why a request was turned away. Stands in the extensions of the response.
///
/// As a response it is `application/problem+json` (RFC 9457) with a `WWW-Authenticate` challenge
/// (RFC 6750), or, to a gRPC request, a response of headers alone with `grpc-status`,
/// `grpc-message` and `session-error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    max_age: Option<Duration>,
}

impl Rejection {
    pub(crate) const fn recent_authentication(max_age: Duration) -> Self {
        Self { kind: RejectionKind::RecentAuthenticationRequired, max_age: Some(max_age) }
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The stable code that clients act on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The response that says it over plain HTTP.
    #[must_use]
    pub fn into_http_response<B>(self) -> Response<SessionBody<B>> {
        self.into_response(&RejectionFormat { protocol: Protocol::Http, body: None })
    }

    /// The response that says it in the caller's language.
    pub(crate) fn into_response<B>(self, speech: &RejectionFormat<'_>) -> Response<SessionBody<B>> {
        let mut response = match &speech.protocol {
            Protocol::Http => self.http(speech.body),
            Protocol::Grpc(content_type) => self.grpc(content_type.clone()),
        };
        response.extensions_mut().insert(self);
        response
    }

    fn http<B>(self, make: Option<&dyn MakeRejection>) -> Response<SessionBody<B>> {
        let RejectionBody { content_type, bytes } =
            make.map_or_else(|| self.problem(), |make| make.rejection_body(&self));
        let mut response = Response::new(SessionBody::rejection(bytes));
        *response.status_mut() = self.kind.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.kind == RejectionKind::StoreUnavailable {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        } else {
            headers.insert(WWW_AUTHENTICATE, self.challenge());
        }
        response
    }

    /// The problem details of RFC 9457.
    fn problem(self) -> RejectionBody {
        let problem = format!(
            r#"{{"type":"about:blank","title":"{}","status":{},"code":"{}"}}"#,
            self.kind.title(),
            self.kind.status().as_u16(),
            self.code(),
        );
        RejectionBody {
            content_type: HeaderValue::from_static("application/problem+json"),
            bytes: problem.into(),
        }
    }

    /// The challenge of RFC 6750 section 3; of RFC 9470 where a recent sign-in is asked for.
    fn challenge(self) -> HeaderValue {
        let error = match self.kind {
            RejectionKind::MissingToken => return HeaderValue::from_static("Bearer"),
            RejectionKind::RecentAuthenticationRequired => "insufficient_user_authentication",
            _ => "invalid_token",
        };
        let max_age = self.max_age.map_or(Cow::Borrowed(""), |max_age| {
            Cow::Owned(format!(", max_age={}", max_age.as_secs()))
        });
        let title = self.kind.title();
        let challenge = format!(r#"Bearer error="{error}", error_description="{title}"{max_age}"#);
        HeaderValue::try_from(challenge).expect("titles are visible ASCII")
    }

    fn grpc<B>(self, content_type: HeaderValue) -> Response<SessionBody<B>> {
        let mut response = Response::new(SessionBody::default());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(self.kind.grpc_status())));
        headers.insert(GRPC_MESSAGE, HeaderValue::from_static(self.kind.title()));
        headers.insert(SESSION_ERROR, HeaderValue::from_static(self.code()));
        response
    }
}

impl From<RejectionKind> for Rejection {
    fn from(kind: RejectionKind) -> Self {
        Self { kind, max_age: None }
    }
}

impl From<ExpiryReason> for Rejection {
    fn from(limit: ExpiryReason) -> Self {
        RejectionKind::from(limit).into()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.title())
    }
}

impl std::error::Error for Rejection {}

/// Writes the body of rejections over plain HTTP in place of the problem details; status,
/// challenge and `Cache-Control` stay. Closures implement it.
///
/// ```
/// use http::HeaderValue;
/// use tower_sliding_session::rejection::{MakeRejection, Rejection, RejectionBody};
///
/// let plain = |rejection: &Rejection| {
///     RejectionBody::new(HeaderValue::from_static("text/plain"), rejection.code())
/// };
/// # fn takes(_: impl MakeRejection) {}
/// # takes(plain);
/// ```
pub trait MakeRejection: Send + Sync + 'static {
    /// The body for `rejection`.
    fn rejection_body(&self, rejection: &Rejection) -> RejectionBody;
}

impl<F> MakeRejection for F
where
    F: Fn(&Rejection) -> RejectionBody + Send + Sync + 'static,
{
    fn rejection_body(&self, rejection: &Rejection) -> RejectionBody {
        self(rejection)
    }
}

impl MakeRejection for Arc<dyn MakeRejection> {
    fn rejection_body(&self, rejection: &Rejection) -> RejectionBody {
        (**self).rejection_body(rejection)
    }
}

/// A body for a rejection, with its content type.
#[derive(Clone, Debug)]
pub struct RejectionBody {
    content_type: HeaderValue,
    bytes: Bytes,
}

impl RejectionBody {
    /// `bytes`, of the type `content_type`.
    pub fn new(content_type: HeaderValue, bytes: impl Into<Bytes>) -> Self {
        Self { content_type, bytes: bytes.into() }
    }
}

/// How a rejection is said to one caller.
pub(crate) struct RejectionFormat<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) body: Option<&'a dyn MakeRejection>,
}

/// The caller's language, by the content type of its request.
#[derive(Clone, Debug)]
pub(crate) enum Protocol {
    Http,
    /// gRPC or gRPC-Web, answered with the content type given.
    Grpc(HeaderValue),
}

impl Protocol {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let Some(content_type) = headers.get(CONTENT_TYPE) else { return Self::Http };
        let bytes = content_type.as_bytes();
        let starts = |prefix: &str| {
            bytes
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let ends = |at: usize| matches!(bytes.get(at), None | Some(b'+' | b';' | b' '));
        for web in ["application/grpc-web-text", "application/grpc-web"] {
            if starts(web) && ends(web.len()) {
                return Self::Grpc(content_type.clone());
            }
        }
        if starts("application/grpc") && ends("application/grpc".len()) {
            return Self::Grpc(HeaderValue::from_static("application/grpc"));
        }
        Self::Http
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_names_its_kind() {
        for kind in RejectionKind::ALL {
            assert_eq!(RejectionKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(RejectionKind::from_code("ok"), None);
    }

    #[test]
    fn the_dialect_follows_the_content_type() {
        let protocol = |content_type: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            match Protocol::from_headers(&headers) {
                Protocol::Http => None,
                Protocol::Grpc(answer) => Some(answer),
            }
        };
        assert_eq!(protocol("application/grpc").expect("gRPC"), "application/grpc");
        assert_eq!(protocol("Application/gRPC+proto").expect("gRPC"), "application/grpc");
        assert_eq!(
            protocol("application/grpc-web+proto").expect("gRPC-Web"),
            "application/grpc-web+proto"
        );
        for http in ["application/json", "application/grpcurl", "application/grp", ""] {
            assert_eq!(protocol(http), None, "{http}");
        }
    }
}
