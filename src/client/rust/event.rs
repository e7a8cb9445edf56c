//! What a client tells its application.

use std::time::Duration;

use crate::rejection::RejectionKind;

/// What happened to the session of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The access token was replaced: a response carried its successor, or the refresh token was
    /// exchanged.
    Renewed,
    /// The session has ended, and its tokens are deleted. The kind says why: `SessionExpiredIdle`,
    /// `SessionExpiredAbsolute`, `SessionRevoked`, `TokenExpired` without a refresh token,
    /// `InvalidToken`, or what the refresh was refused with.
    SignedOut(RejectionKind),
    /// A request needs a more recent sign-in; the session goes on. `max_age` is how long ago the user
    /// may have signed in at most, where the response says so (RFC 9470).
    RecentAuthenticationRequired {
        /// At most this long ago.
        max_age: Option<Duration>,
    },
    /// The server could not check the session, or a refresh had no answer. The tokens are kept.
    Unavailable,
}
