//! How a client exchanges its refresh token.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc};

use super::tokens::Tokens;
use crate::{body::BoxError, rejection::RejectionKind};

/// The future of a refresh.
pub type RefreshFuture = Pin<Box<dyn Future<Output = Result<Tokens, RefreshError>> + Send>>;

/// Exchanges a refresh token for the next tokens. Closures implement it;
/// [`RefreshRoute`](super::RefreshRoute) calls the ready-made route `refresh`.
///
/// It runs in a task of its own: an application that drops its request does not cancel it, because
/// the server may have exchanged the token already. Set a time limit in it: the requests of the
/// session wait for it.
pub trait Refresh: Send + Sync + 'static {
    /// Starts the exchange.
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture;
}

impl<F, R> Refresh for F
where
    F: Fn(RefreshRequest) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Tokens, RefreshError>> + Send + 'static,
{
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture {
        Box::pin(self(request))
    }
}

/// What to exchange. `Debug` hides the token.
#[derive(Clone)]
pub struct RefreshRequest {
    refresh_token: Arc<str>,
    is_background: bool,
}

impl RefreshRequest {
    pub(super) const fn new(refresh_token: Arc<str>, is_background: bool) -> Self {
        Self { refresh_token, is_background }
    }

    /// The refresh token.
    #[must_use]
    pub fn refresh_token(&self) -> &str {
        &self.refresh_token
    }

    /// Whether a request that its user has not caused needs the token: send the header
    /// `Session-Activity: background`, so that the refresh is no activity.
    #[must_use]
    pub const fn is_background(&self) -> bool {
        self.is_background
    }
}

impl fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshRequest")
            .field("is_background", &self.is_background)
            .finish_non_exhaustive()
    }
}

/// Why a refresh returned no tokens.
#[derive(Debug)]
#[non_exhaustive]
pub enum RefreshError {
    /// The server refused the refresh token for this reason. The session has ended if it is one of
    /// `InvalidRefreshToken`, `RefreshTokenReused`, `SessionExpiredIdle`, `SessionExpiredAbsolute`
    /// and `SessionRevoked`; any other kind signs nobody out.
    Refused(RejectionKind),
    /// There was no answer, or one that says nothing about the session: the client keeps its tokens.
    Unavailable(BoxError),
}

impl RefreshError {
    /// There was no answer, or one that says nothing about the session.
    pub fn unavailable(error: impl Into<BoxError>) -> Self {
        Self::Unavailable(error.into())
    }

    /// Why the session has ended, if it has.
    pub(super) fn end(&self) -> Option<RejectionKind> {
        match self {
            Self::Refused(
                kind @ (RejectionKind::InvalidRefreshToken
                | RejectionKind::RefreshTokenReused
                | RejectionKind::SessionExpiredIdle
                | RejectionKind::SessionExpiredAbsolute
                | RejectionKind::SessionRevoked),
            ) => Some(*kind),
            Self::Refused(_) | Self::Unavailable(_) => None,
        }
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(kind) => write!(f, "the refresh was refused: {}", kind.code()),
            Self::Unavailable(_) => f.write_str("the refresh had no answer"),
        }
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Unavailable(error) => Some(&**error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p23_a_refusal_that_says_nothing_of_the_session_signs_nobody_out() {
        for kind in [
            RejectionKind::StoreUnavailable,
            RejectionKind::MissingToken,
            RejectionKind::InvalidToken,
            RejectionKind::TokenExpired,
            RejectionKind::RecentAuthenticationRequired,
        ] {
            assert_eq!(RefreshError::Refused(kind).end(), None, "{kind:?}");
        }
        assert_eq!(RefreshError::unavailable("away").end(), None);
        for kind in [
            RejectionKind::InvalidRefreshToken,
            RejectionKind::RefreshTokenReused,
            RejectionKind::SessionExpiredIdle,
            RejectionKind::SessionExpiredAbsolute,
            RejectionKind::SessionRevoked,
        ] {
            assert_eq!(RefreshError::Refused(kind).end(), Some(kind));
        }
    }
}
