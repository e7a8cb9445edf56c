//! What a sign-in returns.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::rules::Timestamp;

/// What sign-in returns: the access token and both deadlines.
///
/// Serializes as `{"access_token", "token_type": "Bearer", "expires_in", "session_id",
/// "idle_expires_at", "absolute_expires_at"}` (RFC 6749 section 5.1; deadlines in RFC 3339). Send
/// it with `Cache-Control: no-store`. `Debug` hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    pub(super) access_token: String,
    pub(super) session_id: String,
    pub(super) expires_in: Duration,
    pub(super) idle_expires_at: Timestamp,
    pub(super) absolute_expires_at: Timestamp,
}

impl Grant {
    /// The token that proves the session.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// `sid`: which session it is.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// How long the access token lives.
    #[must_use]
    pub const fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// When the session ends without an activity.
    #[must_use]
    pub const fn idle_expires_at(&self) -> Timestamp {
        self.idle_expires_at
    }

    /// When the session ends whatever happens.
    #[must_use]
    pub const fn absolute_expires_at(&self) -> Timestamp {
        self.absolute_expires_at
    }
}

impl Serialize for Grant {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let mut grant = serializer.serialize_struct("Grant", 6)?;
        grant.serialize_field("access_token", &self.access_token)?;
        grant.serialize_field("token_type", "Bearer")?;
        grant.serialize_field("expires_in", &self.expires_in.as_secs())?;
        grant.serialize_field("session_id", &self.session_id)?;
        grant.serialize_field("idle_expires_at", &self.idle_expires_at.to_string())?;
        grant.serialize_field("absolute_expires_at", &self.absolute_expires_at.to_string())?;
        grant.end()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("expires_in", &self.expires_in)
            .field("idle_expires_at", &self.idle_expires_at)
            .field("absolute_expires_at", &self.absolute_expires_at)
            .finish_non_exhaustive()
    }
}
