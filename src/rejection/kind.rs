//! The kinds of rejections, with the code, title and status of each.
//!
//! A new kind is a variant of [`RejectionKind`], an entry of `ALL` and a row in `definition`.

use http::StatusCode;

use crate::rules::ExpiryReason;

/// Which check a request failed. Its [code](Self::code) is part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionKind {
    /// A token is required and the request presents none.
    MissingToken,
    /// The access token is malformed, forged or issued for somebody else.
    InvalidToken,
    /// The access token expired and the session is active: the client refreshes the token.
    TokenExpired,
    /// The session expired: the idle timeout passed without activity.
    SessionExpiredIdle,
    /// The session expired: it reached its absolute timeout.
    SessionExpiredAbsolute,
    /// The session was revoked: signed out, ended by an administrator or by a bulk revocation.
    SessionRevoked,
    /// The refresh token is malformed, forged, replaced, or its session is no longer active.
    InvalidRefreshToken,
    /// The refresh token was used before: its session is revoked (RFC 9700 section 4.14).
    RefreshTokenReused,
    /// The user signed in too long ago for this request (RFC 9470).
    RecentAuthenticationRequired,
    /// The claims source denies the user: what the user may do has changed since the token was minted,
    /// and the user may do nothing here now. The session is not affected.
    AccessDenied,
    /// A store that must be asked, or the claims source, did not answer. The session is not affected: the client tries
    /// again.
    StoreUnavailable,
}

/// What a client learns of one kind.
struct Definition {
    code: &'static str,
    title: &'static str,
    status: StatusCode,
    grpc_status: u8,
}

/// `UNAUTHENTICATED` of gRPC.
const UNAUTHENTICATED: u8 = 16;
/// `PERMISSION_DENIED` of gRPC.
const PERMISSION_DENIED: u8 = 7;
/// `UNAVAILABLE` of gRPC.
const UNAVAILABLE: u8 = 14;

impl RejectionKind {
    /// Every kind, for [`from_code`](Self::from_code).
    pub(super) const ALL: [Self; 11] = [
        Self::MissingToken,
        Self::InvalidToken,
        Self::TokenExpired,
        Self::SessionExpiredIdle,
        Self::SessionExpiredAbsolute,
        Self::SessionRevoked,
        Self::InvalidRefreshToken,
        Self::RefreshTokenReused,
        Self::RecentAuthenticationRequired,
        Self::AccessDenied,
        Self::StoreUnavailable,
    ];

    const fn definition(self) -> Definition {
        const fn unauthorized(code: &'static str, title: &'static str) -> Definition {
            let (status, grpc_status) = (StatusCode::UNAUTHORIZED, UNAUTHENTICATED);
            Definition { code, title, status, grpc_status }
        }
        match self {
            Self::MissingToken => unauthorized("missing_token", "Sign in to continue."),
            Self::InvalidToken => unauthorized("invalid_token", "The token is not valid."),
            Self::TokenExpired => {
                unauthorized("token_expired", "The access token expired. Refresh it.")
            }
            Self::SessionExpiredIdle => unauthorized(
                "session_expired_idle",
                "The session expired after a time without activity.",
            ),
            Self::SessionExpiredAbsolute => unauthorized(
                "session_expired_absolute",
                "The session reached its maximum lifetime.",
            ),
            Self::SessionRevoked => unauthorized("session_revoked", "The session was revoked."),
            Self::InvalidRefreshToken => {
                unauthorized("invalid_refresh_token", "The refresh token is not valid.")
            }
            Self::RefreshTokenReused => unauthorized(
                "refresh_token_reused",
                "The refresh token was used before. The session was revoked.",
            ),
            Self::RecentAuthenticationRequired => {
                unauthorized("recent_authentication_required", "Sign in again to continue.")
            }
            Self::AccessDenied => Definition {
                code: "access_denied",
                title: "Access denied.",
                status: StatusCode::FORBIDDEN,
                grpc_status: PERMISSION_DENIED,
            },
            Self::StoreUnavailable => Definition {
                code: "store_unavailable",
                title: "The session could not be checked. Try again.",
                status: StatusCode::SERVICE_UNAVAILABLE,
                grpc_status: UNAVAILABLE,
            },
        }
    }

    /// The stable code that clients act on, such as `session_expired_idle`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.definition().code
    }

    /// The kind with this code; `None` for any other text.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// A sentence for the user. It contains no key, token, address or inner error.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.definition().title
    }

    /// Whether a deadline of the token or of its session has passed.
    pub(crate) const fn is_expiry(self) -> bool {
        matches!(self, Self::TokenExpired | Self::SessionExpiredIdle | Self::SessionExpiredAbsolute)
    }

    /// The HTTP status: 401, 403 if the user is denied, or 503 if a store did not answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.definition().status
    }

    /// The gRPC status: 16 (`UNAUTHENTICATED`), 7 (`PERMISSION_DENIED`) if the user is denied, or 14
    /// (`UNAVAILABLE`) if a store did not answer.
    #[must_use]
    pub const fn grpc_status(self) -> u8 {
        self.definition().grpc_status
    }
}

impl From<ExpiryReason> for RejectionKind {
    fn from(reason: ExpiryReason) -> Self {
        match reason {
            ExpiryReason::Absolute => Self::SessionExpiredAbsolute,
            ExpiryReason::Idle => Self::SessionExpiredIdle,
            ExpiryReason::Token => Self::TokenExpired,
        }
    }
}
