//! What a sign-in returns.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    policy::Policy,
    rules::Deadlines,
    time::Timestamp,
    token::{KeyError, Purpose, TokenVerifier, VerifiedToken, mint},
};

/// What sign-in and refresh return: the access token, the refresh token if there are any, and both
/// deadlines.
///
/// Serializes as `{"access_token", "token_type": "Bearer", "expires_in", "refresh_token",
/// "session_id", "idle_expires_at", "absolute_expires_at"}` (RFC 6749 section 5.1; deadlines in
/// RFC 3339); without a refresh token that member is absent. Send it with `Cache-Control:
/// no-store`. `Debug` hides the tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    access_token: String,
    refresh_token: Option<String>,
    session_id: String,
    expires_in: Duration,
    idle_expires_at: Timestamp,
    absolute_expires_at: Timestamp,
}

impl Grant {
    /// Signs the payloads `access` and `refresh`, minted under `policy`.
    pub(super) fn sign(
        verifier: &TokenVerifier,
        access: &str,
        refresh: Option<&str>,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let keys = verifier.keys();
        let token = VerifiedToken::minted(access).map_err(|_| KeyError::unreadable())?;
        let claims = token.claims();
        let deadlines = Deadlines::new(claims, Some(claims.proven_activity(now)), policy);
        Ok(Self {
            access_token: mint(keys, access, Purpose::Access)?,
            refresh_token: refresh.map(|it| mint(keys, it, Purpose::Refresh)).transpose()?,
            session_id: claims.sid.to_string(),
            expires_in: claims.exp.since(claims.iat),
            idle_expires_at: deadlines.idle.unwrap_or(deadlines.absolute).min(deadlines.absolute),
            absolute_expires_at: deadlines.absolute,
        })
    }

    /// The token that proves the session.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// The token that [`refresh`](crate::SlidingSessions::refresh) takes, once.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
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
        let mut grant = serializer.serialize_struct("Grant", 7)?;
        grant.serialize_field("access_token", &self.access_token)?;
        grant.serialize_field("token_type", "Bearer")?;
        grant.serialize_field("expires_in", &self.expires_in.as_secs())?;
        match &self.refresh_token {
            Some(token) => grant.serialize_field("refresh_token", token)?,
            None => grant.skip_field("refresh_token")?,
        }
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
