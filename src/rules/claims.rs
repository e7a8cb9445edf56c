//! The claims that a session lives by.

use crate::time::Timestamp;
use std::{fmt, time::Duration};

/// The claims of a verified token that the rules and the layers look at.
///
/// Strings are owned and compact; `aud` and `jti` are read at verification and not kept, the app's
/// own claims stay in the payload ([`Session::claims`](crate::Session::claims)). `Debug` shows
/// times only, never who it is about.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionClaims {
    /// `sub`: whose session it is.
    pub sub: Box<str>,
    /// `sid`: which session; never changes while it lives.
    pub sid: Box<str>,
    /// `iss`: who signed the token.
    pub iss: Option<Box<str>>,
    /// `tenant`: the account.
    pub tenant: Option<Box<str>>,
    /// `session_profile`: the name of the session's policy; absent means `normal`.
    pub session_profile: Option<Box<str>>,
    /// `auth_time`: when the user signed in; never changes while the session lives.
    pub auth_time: Timestamp,
    /// `iat`: when the token was minted.
    pub iat: Timestamp,
    /// `exp`: when the token ends.
    pub exp: Timestamp,
    /// `nbf`: before when the token is not valid.
    pub nbf: Option<Timestamp>,
    /// `idle_max`: the idle timeout at sign-in, in seconds.
    pub idle_max: Option<Duration>,
    /// `abs_max`: the absolute timeout at sign-in, in seconds.
    pub abs_max: Option<Duration>,
    /// `epoch`: when the session began, to the millisecond, for comparison with marks.
    pub epoch: Option<Timestamp>,
    /// `seen`: the last activity, where the token was minted without one.
    pub seen: Option<Timestamp>,
}

impl SessionClaims {
    /// Claims of a session that began at `auth_time`, proven by a token from then until `exp`.
    #[must_use]
    pub fn new(sub: &str, sid: &str, auth_time: Timestamp, exp: Timestamp) -> Self {
        Self {
            sub: sub.into(),
            sid: sid.into(),
            iss: None,
            tenant: None,
            session_profile: None,
            auth_time,
            iat: auth_time,
            exp,
            nbf: None,
            idle_max: None,
            abs_max: None,
            epoch: None,
            seen: None,
        }
    }

    /// When the session began, for comparison with marks: `epoch`, or else `auth_time`.
    #[must_use]
    pub fn epoch(&self) -> Timestamp {
        self.epoch.unwrap_or(self.auth_time)
    }

    /// The last activity that the token itself proves: `seen`, or else `iat`, but not later than
    /// `now`.
    #[must_use]
    pub fn proven_activity(&self, now: Timestamp) -> Timestamp {
        self.seen.unwrap_or(self.iat).min(now)
    }
}

impl fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims")
            .field("auth_time", &self.auth_time)
            .field("iat", &self.iat)
            .field("exp", &self.exp)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
