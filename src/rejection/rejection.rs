//! A rejection: its kind, its cause, and what the response says beside them.

use std::{borrow::Cow, fmt, time::Duration};

use super::{
    cause::{InvalidTokenReason, RejectionCause, RevocationCause},
    duration::in_words,
    kind::RejectionKind,
};
use crate::rules::ExpiryReason;

/// Why a request was rejected. The response's extensions contain it.
///
/// As a response it is `application/problem+json` (RFC 9457) with a `WWW-Authenticate` challenge
/// (RFC 6750); for a gRPC request, a response of headers alone with `grpc-status`, `grpc-message`
/// and `session-error`; for a call of the Connect protocol its JSON error, or the envelope that ends the
/// stream. Its [cause](Self::cause) is in no response.
///
/// ```
/// use tower_sliding_session::{
///     Rejection, RejectionKind, rejection::{InvalidTokenReason, RejectionCause},
/// };
///
/// let rejection = Rejection::invalid_token(InvalidTokenReason::Signature);
/// assert_eq!(rejection.kind(), RejectionKind::InvalidToken);
/// assert_eq!(rejection.code(), "invalid_token");
/// let cause = RejectionCause::InvalidToken(InvalidTokenReason::Signature);
/// assert_eq!(rejection.cause(), Some(cause));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    detail: Detail,
    cause: Option<RejectionCause>,
}

/// A duration that the response names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    None,
    /// The user must have signed in less than this ago.
    MaxAge(Duration),
    /// The idle timeout that passed.
    IdleTimeout(Duration),
}

impl Rejection {
    /// A rejection without a cause.
    #[must_use]
    pub const fn new(kind: RejectionKind) -> Self {
        Self { kind, detail: Detail::None, cause: None }
    }

    /// `invalid_token`, for this reason.
    #[must_use]
    pub const fn invalid_token(reason: InvalidTokenReason) -> Self {
        Self::new(RejectionKind::InvalidToken).with_cause(RejectionCause::InvalidToken(reason))
    }

    /// `session_revoked`, for this cause.
    #[must_use]
    pub const fn session_revoked(cause: RevocationCause) -> Self {
        Self::new(RejectionKind::SessionRevoked).with_cause(RejectionCause::Revoked(cause))
    }

    /// `session_expired_idle`, with the timeout in the sentence for the user.
    #[must_use]
    pub const fn session_expired_idle(idle_timeout: Duration) -> Self {
        let kind = RejectionKind::SessionExpiredIdle;
        Self { kind, detail: Detail::IdleTimeout(idle_timeout), cause: None }
    }

    /// `recent_authentication_required`: the user must sign in less than `max_age` before the
    /// request (RFC 9470).
    #[must_use]
    pub const fn recent_authentication_required(max_age: Duration) -> Self {
        let kind = RejectionKind::RecentAuthenticationRequired;
        Self { kind, detail: Detail::MaxAge(max_age), cause: None }
    }

    /// `store_unavailable`: what other nodes know of an outage may not be written yet.
    pub(crate) const fn activity_unwritten() -> Self {
        Self::new(RejectionKind::StoreUnavailable).with_cause(RejectionCause::ActivityUnwritten)
    }

    /// Whether the store could not be asked: with a cause it has answered.
    pub(crate) fn is_outage(&self) -> bool {
        self.kind == RejectionKind::StoreUnavailable && self.cause.is_none()
    }

    /// The same rejection with this cause.
    #[must_use]
    pub const fn with_cause(mut self, cause: RejectionCause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Which check the request failed.
    #[must_use]
    pub const fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// The stable code that clients act on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What the kind does not say, for logs and audit events; `None` if there is no more to say.
    /// Do not put it into a response.
    #[must_use]
    pub const fn cause(&self) -> Option<RejectionCause> {
        self.cause
    }

    /// A sentence for the user: that of the [kind](RejectionKind::title), with the idle timeout if
    /// it is known, such as "The session expired after 20 minutes without activity."
    #[must_use]
    pub fn title(&self) -> Cow<'static, str> {
        match self.detail {
            Detail::IdleTimeout(timeout) => {
                let timeout = in_words(timeout);
                format!("The session expired after {timeout} without activity.").into()
            }
            Detail::None | Detail::MaxAge(_) => self.kind.title().into(),
        }
    }

    /// How long ago the user may have signed in at most; `None` for any other kind.
    pub(super) const fn max_age(&self) -> Option<Duration> {
        match self.detail {
            Detail::MaxAge(max_age) => Some(max_age),
            Detail::None | Detail::IdleTimeout(_) => None,
        }
    }
}

impl From<RejectionKind> for Rejection {
    fn from(kind: RejectionKind) -> Self {
        Self::new(kind)
    }
}

impl From<ExpiryReason> for Rejection {
    fn from(reason: ExpiryReason) -> Self {
        Self::new(reason.into())
    }
}

/// The [title](Rejection::title).
impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title())
    }
}

impl std::error::Error for Rejection {}
