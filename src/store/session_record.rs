//! The record of a session, from its sign-in on.

use std::{fmt, time::Duration};

use super::SessionLabel;
use crate::{
    identity::{Scopes, SessionKeys, StoreKey},
    rules::SessionClaims,
    time::Timestamp,
};

/// What a lifecycle store keeps of a session from its sign-in on. `Debug` shows times only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// [`StoreKey::session`].
    pub key: StoreKey,
    /// `sid`.
    pub sid: String,
    /// `sub`.
    pub sub: String,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `session_profile`; `None` means `normal`.
    pub profile: Option<String>,
    /// The scopes of bulk revocations that reach the session.
    pub scopes: Scopes,
    /// When the user signed in.
    pub auth_time: Timestamp,
    /// When the session began, for comparison with revocation cutoffs.
    pub epoch: Timestamp,
    /// Its idle timeout.
    pub idle: Duration,
    /// Its absolute deadline. Of an adopted session not before the `exp` of the token that it was
    /// adopted with.
    pub ends_at: Timestamp,
    /// Whether it began with the [adopted](crate::token::LegacyTokens::adopt) token of an earlier
    /// system.
    pub is_adopted: bool,
    /// Its last activity.
    pub last_seen: Timestamp,
    /// What the app shows of it in lists.
    pub label: Option<SessionLabel>,
}

impl SessionRecord {
    /// Creates the record of a session that began, and was last active, at `auth_time`, without
    /// tenant, profile and label.
    #[must_use]
    pub fn new(
        key: StoreKey,
        sid: impl Into<String>,
        sub: impl Into<String>,
        scopes: Scopes,
        auth_time: Timestamp,
        idle: Duration,
        ends_at: Timestamp,
    ) -> Self {
        Self {
            key,
            sid: sid.into(),
            sub: sub.into(),
            tenant: None,
            profile: None,
            scopes,
            auth_time,
            epoch: auth_time,
            idle,
            ends_at,
            is_adopted: false,
            last_seen: auth_time,
            label: None,
        }
    }

    /// Creates the record of the session of `claims` with its effective timeouts.
    pub(crate) fn from_claims(
        key: StoreKey,
        scopes: Scopes,
        claims: &SessionClaims,
        idle: Duration,
        absolute: Duration,
        last_seen: Timestamp,
    ) -> Self {
        let ends_at = claims.auth_time + absolute;
        Self {
            tenant: claims.tenant.as_deref().map(str::to_owned),
            profile: claims.session_profile.as_deref().map(str::to_owned),
            last_seen,
            ..Self::new(key, &*claims.sid, &*claims.sub, scopes, claims.auth_time, idle, ends_at)
        }
    }

    /// The keys of the session and its user.
    #[must_use]
    pub const fn keys(&self) -> SessionKeys {
        SessionKeys::new(self.key, self.scopes.user)
    }
}

impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("auth_time", &self.auth_time)
            .field("ends_at", &self.ends_at)
            .field("last_seen", &self.last_seen)
            .finish_non_exhaustive()
    }
}

/// A user with an active session. `Debug` shows the time only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveUser {
    /// `sub`.
    pub sub: String,
    /// The latest sign-in of the user's active sessions.
    pub last_login_at: Timestamp,
}

impl ActiveUser {
    /// Creates an entry for the user `sub`.
    #[must_use]
    pub const fn new(sub: String, last_login_at: Timestamp) -> Self {
        Self { sub, last_login_at }
    }
}

impl fmt::Debug for ActiveUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveUser")
            .field("last_login_at", &self.last_login_at)
            .finish_non_exhaustive()
    }
}
