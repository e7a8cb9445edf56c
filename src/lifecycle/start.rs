//! Sign-in: a new session.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use serde::Serialize;

use super::{Grant, Lifecycle};
use crate::{
    rules::{Deadlines, SessionClaims},
    store::{Key, LIFECYCLE_TIME_LIMIT, Touch, within},
    token::{AppClaims, ClaimsError, KeyError, NewToken, mint, new_id},
};

/// A session about to start; await it for its [`Grant`].
///
/// Every start gives a new `sid`, whatever the request carried (P21: session fixation).
#[must_use = "a session starts when this is awaited"]
pub struct Start<'a> {
    lifecycle: &'a Lifecycle,
    sub: String,
    tenant: Option<String>,
    profile: Option<String>,
    app: Result<Option<AppClaims>, ClaimsError>,
}

/// Why a session did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The subject is empty.
    NoSubject,
    /// No profile of this name is listed.
    UnknownProfile(String),
    /// The app's claims were refused.
    Claims(ClaimsError),
    /// The token could not be signed.
    Key(KeyError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubject => f.write_str("a session needs a subject"),
            Self::UnknownProfile(name) => write!(f, "no profile is named `{name}`: list it first"),
            Self::Claims(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

impl<'a> Start<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, sub: String) -> Self {
        Self { lifecycle, sub, tenant: None, profile: None, app: Ok(None) }
    }

    /// The account that the user signs in to: the `tenant` claim.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The policy that the session lives by, by its name; `normal` by default.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into()).filter(|name| name != "normal");
        self
    }

    /// The app's own claims: what serializes to a JSON object, none of them the session's.
    pub fn claims<T>(mut self, claims: &T) -> Self
    where
        T: Serialize + ?Sized,
    {
        self.app = AppClaims::new(claims).map(Some);
        self
    }

    async fn run(self) -> Result<Grant, StartError> {
        let Lifecycle { verifier, profiles, store, clock } = self.lifecycle;
        if self.sub.is_empty() {
            return Err(StartError::NoSubject);
        }
        if let Some(name) = self.profile.as_deref().filter(|name| !profiles.contains(name)) {
            return Err(StartError::UnknownProfile(name.to_owned()));
        }
        let app = self.app.map_err(StartError::Claims)?;
        let policy = profiles.get(self.profile.as_deref());
        let now = clock.now();
        let auth_time = now.floor_to_secs();
        let lifetime = policy.token_lifetime().min(policy.absolute_timeout());
        let mut claims = SessionClaims::new(
            &self.sub,
            &new_id(),
            auth_time,
            (now + lifetime).min(auth_time + policy.absolute_timeout()).floor_to_secs(),
        );
        claims.iss = verifier.iss().map(Box::from);
        claims.tenant = self.tenant.map(Box::from);
        claims.session_profile = self.profile.map(Box::from);
        claims.idle_max = Some(whole_secs(policy.idle_timeout()));
        claims.abs_max = Some(whole_secs(policy.absolute_timeout()));
        claims.epoch = Some(now);
        let payload =
            NewToken { claims: &claims, aud: verifier.aud(), app: app.as_ref() }.payload();
        let access_token = mint(verifier.keys(), &payload).map_err(StartError::Key)?;
        if policy.records_activity() {
            let touch = Touch {
                now,
                token_activity: auth_time,
                idle: policy.idle_timeout(),
                known_only: false,
            };
            let key = Key::session(verifier.iss(), &claims.sid);
            // Without its entry the session is judged by its token: no reason to refuse a sign-in.
            let begun = within(store.touch(key, touch), &**clock, LIFECYCLE_TIME_LIMIT).await;
            if let Err(error) = begun {
                tracing::warn!(error = &error as &dyn std::error::Error, "a session is not stored");
            }
        }
        let deadlines = Deadlines::of(&claims, Some(now), policy);
        Ok(Grant {
            access_token,
            session_id: claims.sid.into(),
            expires_in: claims.exp.since(claims.iat),
            idle_expires_at: deadlines.idle.unwrap_or(deadlines.absolute).min(deadlines.absolute),
            absolute_expires_at: deadlines.absolute,
        })
    }
}

/// Claims carry whole seconds, rounded down; a timeout is never under one.
fn whole_secs(timeout: Duration) -> Duration {
    Duration::from_secs(timeout.as_secs())
}

impl<'a> IntoFuture for Start<'a> {
    type Output = Result<Grant, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("profile", &self.profile).finish_non_exhaustive()
    }
}
