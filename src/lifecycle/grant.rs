//! The response of a sign-in or a refresh: tokens and deadlines.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeStruct};

use crate::{
    policy::Policy,
    rules::Deadlines,
    time::Timestamp,
    token::{KeyError, Purpose, TokenVerifier, VerifiedToken, mint},
    transport::{SessionCookie, SetCookie, is_token_byte},
};

/// RFC 6750: how the access token is presented.
const TOKEN_TYPE: &str = "Bearer";

/// The access token of a session that was started or refreshed, its refresh token if refresh tokens
/// are on, and both deadlines of the session.
///
/// Serializes as `{"access_token", "token_type": "Bearer", "expires_in", "refresh_token",
/// "session_id", "idle_expires_in", "idle_expires_at", "absolute_expires_in",
/// "absolute_expires_at"}` (RFC 6749 section 5.1), without `refresh_token` if there is none. What
/// ends in `_in` is in whole seconds, rounded down, for a client whose clock is wrong; what ends in
/// `_at` is in RFC 3339. Deserializes from the same, for clients and tests. With feature `axum` it is
/// a response that no cache may store; elsewhere send it with `Cache-Control: no-store`. `Debug` hides
/// the tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    access_token: String,
    refresh_token: Option<String>,
    session_id: String,
    expires_in: Duration,
    idle_expires_in: Duration,
    idle_expires_at: Timestamp,
    absolute_expires_in: Duration,
    absolute_expires_at: Timestamp,
}

impl Grant {
    /// Signs the payloads `access` and `refresh`, which were composed under `policy`.
    pub(super) fn sign(
        verifier: &TokenVerifier,
        access: &str,
        refresh: Option<&str>,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        let keys = verifier.keys();
        let token = VerifiedToken::dangerous_from_payload(access)?;
        let claims = token.claims();
        let deadlines = Deadlines::new(claims, Some(claims.proven_activity(now)), policy);
        let (idle, absolute) = deadlines.of_session();
        Ok(Self {
            access_token: mint(keys, access, Purpose::Access)?,
            refresh_token: refresh.map(|it| mint(keys, it, Purpose::Refresh)).transpose()?,
            session_id: claims.sid.to_string(),
            // A repeated refresh returns a token that was minted earlier.
            expires_in: claims.exp.since(now.floor_to_secs()),
            idle_expires_in: idle.since(now),
            idle_expires_at: idle,
            absolute_expires_in: absolute.since(now),
            absolute_expires_at: absolute,
        })
    }

    /// The access token, which the client sends with each request.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// The refresh token, which [`refresh`](crate::SlidingSessions::refresh) exchanges once.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh_token.as_deref()
    }

    /// The id of the session: the claim `sid`.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The time from the sign-in or the refresh until the access token expires.
    #[must_use]
    pub const fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// The time from the sign-in or the refresh until the session expires without further activity.
    #[must_use]
    pub const fn idle_expires_in(&self) -> Duration {
        self.idle_expires_in
    }

    /// The instant at which the session expires without further activity.
    #[must_use]
    pub const fn idle_expires_at(&self) -> Timestamp {
        self.idle_expires_at
    }

    /// The time from the sign-in or the refresh until the session expires in any case.
    #[must_use]
    pub const fn absolute_expires_in(&self) -> Duration {
        self.absolute_expires_in
    }

    /// The instant at which the session expires in any case.
    #[must_use]
    pub const fn absolute_expires_at(&self) -> Timestamp {
        self.absolute_expires_at
    }

    /// Sets `cookie` to the access token for the token's lifetime: the response of a sign-in by
    /// cookie. A redirect or an empty body goes with it, not the grant.
    ///
    /// A sign-in has checked that the token fits the cookie of the stack. Logs a warning if it does
    /// not fit `cookie`: browsers drop a cookie of more than 4,096 bytes.
    ///
    /// ```
    /// use tower_sliding_session::{Grant, SessionCookie, transport::SetCookie};
    ///
    /// fn signed_in(grant: &Grant, cookie: &SessionCookie) -> http::Response<()> {
    ///     let mut response = http::Response::new(());
    ///     grant.set_cookie(cookie).write_to(response.headers_mut());
    ///     response
    /// }
    /// ```
    pub fn set_cookie(&self, cookie: &SessionCookie) -> SetCookie {
        if self.access_token.len() > cookie.longest_token() {
            tracing::warn!("the access token is too long for the cookie: browsers drop it");
        }
        SetCookie::trusted(cookie, &self.access_token, self.expires_in)
    }
}

impl Serialize for Grant {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let mut grant = serializer.serialize_struct("Grant", 9)?;
        grant.serialize_field("access_token", &self.access_token)?;
        grant.serialize_field("token_type", TOKEN_TYPE)?;
        grant.serialize_field("expires_in", &self.expires_in.as_secs())?;
        match &self.refresh_token {
            Some(token) => grant.serialize_field("refresh_token", token)?,
            None => grant.skip_field("refresh_token")?,
        }
        grant.serialize_field("session_id", &self.session_id)?;
        grant.serialize_field("idle_expires_in", &self.idle_expires_in.as_secs())?;
        grant.serialize_field("idle_expires_at", &self.idle_expires_at)?;
        grant.serialize_field("absolute_expires_in", &self.absolute_expires_in.as_secs())?;
        grant.serialize_field("absolute_expires_at", &self.absolute_expires_at)?;
        grant.end()
    }
}

/// Ignores unknown members.
///
/// # Errors
/// A missing member other than `refresh_token`, a `token_type` other than `Bearer` in any case, and
/// deadlines that are not RFC 3339.
impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        let fields = Fields::deserialize(deserializer)?;
        if !fields.token_type.eq_ignore_ascii_case(TOKEN_TYPE) {
            return Err(de::Error::custom("token_type must be Bearer"));
        }
        if !fields.access_token.bytes().all(is_token_byte) {
            return Err(de::Error::custom(
                "access_token must consist of the characters of RFC 6750 section 2.1",
            ));
        }
        Ok(Self {
            access_token: fields.access_token,
            refresh_token: fields.refresh_token,
            session_id: fields.session_id,
            expires_in: Duration::from_secs(fields.expires_in),
            idle_expires_in: Duration::from_secs(fields.idle_expires_in),
            idle_expires_at: fields.idle_expires_at,
            absolute_expires_in: Duration::from_secs(fields.absolute_expires_in),
            absolute_expires_at: fields.absolute_expires_at,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename = "Grant")]
struct Fields<'a> {
    access_token: String,
    #[serde(borrow)]
    token_type: Cow<'a, str>,
    expires_in: u64,
    refresh_token: Option<String>,
    session_id: String,
    idle_expires_in: u64,
    idle_expires_at: Timestamp,
    absolute_expires_in: u64,
    absolute_expires_at: Timestamp,
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
