//! The session that a legacy token becomes.

use std::fmt;

use crate::time::Timestamp;

/// The session that a legacy token is adopted as. `Debug` shows the time only.
///
/// A token for which it names an empty user or an empty `sid` is rejected.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct AdoptedSession {
    pub(super) sub: String,
    pub(super) sid: Option<String>,
    pub(super) auth_time: Option<Timestamp>,
    pub(super) profile: Option<String>,
}

impl AdoptedSession {
    /// A session of the user `sub`.
    pub fn new(sub: impl Into<String>) -> Self {
        Self { sub: sub.into(), sid: None, auth_time: None, profile: None }
    }

    /// The name of the session. Default: the token's `sid` if it is a string, else a digest of what
    /// was signed, which differs between the two tokens of one sign-in.
    pub fn sid(mut self, sid: impl Into<String>) -> Self {
        self.sid = Some(sid.into());
        self
    }

    /// When the user signed in, rounded down to a second; at most the `iat` of the token. Default:
    /// the token's `auth_time`, else its `iat`. A token with neither is rejected.
    pub fn auth_time(mut self, at: Timestamp) -> Self {
        self.auth_time = Some(at);
        self
    }

    /// The name of the policy of the session. Default: `normal`. The token's own `session_profile`
    /// is not read.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into()).filter(|name| name != "normal");
        self
    }
}

impl fmt::Debug for AdoptedSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdoptedSession").field("auth_time", &self.auth_time).finish_non_exhaustive()
    }
}
