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
    /// A response said when the session expires: the header `Session-Expires`, which a server with
    /// [`session_expires()`](crate::sessions::SlidingSessionsBuilder::session_expires) sends. Told for
    /// each such response, whether the end is near or not, but not for one whose request was sent
    /// before that of the last one. The client reads no clock: an application that warns its user sets
    /// a timer anew with each event.
    Expiring {
        /// The time until the session expires without another activity; in whole seconds.
        idle: Option<Duration>,
        /// The time until the session reaches its maximum lifetime; in whole seconds.
        absolute: Option<Duration>,
        /// Whether the server renews the token of this session.
        is_renewable: bool,
    },
    /// The server could not check the session, or a refresh had no answer. The tokens are kept.
    Unavailable,
}
