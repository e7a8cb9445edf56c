//! Sign-in and step-up: a new session.

use std::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use serde::Serialize;

use super::{Grant, Lifecycle};
use crate::{
    audit::{AuditEvent, AuditRecord, SessionEndCause},
    identity::{Scopes, SessionKeys, StoreKey},
    policy::{Policy, TimeoutOverrides},
    rejection::Rejection,
    rules::{self, SessionClaims},
    session::Session,
    store::{
        LabelError, RefreshQuery, ReplacedSession, SessionLabel, SessionRecord, SignIn, Touch,
    },
    time::Timestamp,
    token::{
        AppClaims, ClaimsError, CurrentClaims, GrantedClaims, KeyError, NewToken, Purpose,
        SUCCESSOR_GROWTH, TokenTooLong, VerifiedToken, check_length, new_id,
    },
    transport::MAX_TOKEN,
};

/// A sign-in. Await it for the [`Grant`].
///
/// Each start has a new `sid`, whatever token the request carried (session fixation, P21).
#[must_use = "a session starts when this is awaited"]
pub struct Start<'a> {
    lifecycle: &'a Lifecycle,
    sub: String,
    tenant: Option<String>,
    profile: Option<String>,
    app: Result<Option<AppClaims>, ClaimsError>,
    label: Result<Option<SessionLabel>, LabelError>,
    /// Whether the app's claims are copied from the session that this one replaces.
    inherits: bool,
    replaces: Option<&'a Session>,
}

/// Why a sign-in failed.
///
/// With feature `axum` it is a response: 503 for [`Unavailable`](Self::Unavailable), 403 for
/// [`Denied`](Self::Denied), 422 for [`Label`](Self::Label), 409 for
/// [`TooManySessions`](Self::TooManySessions), 500 for the others, which are mistakes in the app.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The subject is empty.
    NoSubject,
    /// No profile has this name.
    UnknownProfile(String),
    /// The app's claims do not serialize to a JSON object, or name a claim of the session.
    Claims(ClaimsError),
    /// The label is not JSON, or has more than 512 bytes.
    Label(LabelError),
    /// The signing key failed.
    Key(KeyError),
    /// The access or the refresh token would be longer than its verifier (8 KiB) or the session
    /// cookie (4,096 bytes) takes back, less the 96 bytes by which a renewal may lengthen it. No
    /// session has begun.
    TokenTooLong(TokenTooLong),
    /// The subject has as many sessions as `max_sessions` allows, which refuses another: the user
    /// ends one elsewhere, or waits until one has expired.
    TooManySessions,
    /// The claims source denies the user a token.
    Denied,
    /// The store, or the claims source, did not answer.
    Unavailable(Rejection),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSubject => f.write_str("the subject is empty"),
            Self::UnknownProfile(name) => {
                write!(f, "no profile has the name `{name}`: add it with `profile`")
            }
            Self::Claims(_) => f.write_str("the app's claims cannot be part of a token"),
            Self::Label(_) => f.write_str("the label cannot be kept"),
            Self::Key(_) => f.write_str("the token could not be signed"),
            Self::TokenTooLong(_) => f.write_str("the token would be too long"),
            Self::TooManySessions => {
                f.write_str("the user has as many sessions as allowed: end one of them first")
            }
            Self::Denied => f.write_str("the claims source denies the user"),
            Self::Unavailable(_) => f.write_str("the session store did not answer"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoSubject | Self::UnknownProfile(_) | Self::TooManySessions | Self::Denied => {
                None
            }
            Self::Claims(error) => Some(error),
            Self::Label(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::TokenTooLong(error) => Some(error),
            Self::Unavailable(rejection) => Some(rejection),
        }
    }
}

impl<'a> Start<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, sub: String) -> Self {
        Self {
            lifecycle,
            sub,
            tenant: None,
            profile: None,
            app: Ok(None),
            label: Ok(None),
            inherits: false,
            replaces: None,
        }
    }

    /// A new session in place of `session`, whose user has just authenticated again (step-up).
    pub(crate) fn instead_of(lifecycle: &'a Lifecycle, session: &'a Session) -> Self {
        let claims = session.session_claims();
        Self {
            lifecycle,
            sub: claims.sub.to_string(),
            tenant: claims.tenant.as_deref().map(str::to_owned),
            profile: claims
                .session_profile
                .as_deref()
                .filter(|name| lifecycle.enforcement.profiles.contains(name))
                .map(str::to_owned),
            app: Ok(Some(AppClaims::from_payload(session.token().payload()))),
            label: Ok(None),
            inherits: true,
            replaces: Some(session),
        }
    }

    /// The account: the `tenant` claim. Default: none.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// The profile: the name of the policy of the session. Default: `normal`.
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into()).filter(|name| name != "normal");
        self
    }

    /// The app's own claims. They must serialize to a JSON object without registered claims and
    /// claims of the session. Default: those of the claims source, or of the replaced session; else
    /// none.
    pub fn claims<T>(mut self, claims: &T) -> Self
    where
        T: Serialize + ?Sized,
    {
        self.app = AppClaims::new(claims).map(Some);
        self.inherits = false;
        self
    }

    /// What lists show of the session, such as its device or place: at most 512 bytes of JSON. It is
    /// kept with the session's record, and is in no token, log or audit record. Default: none; of a
    /// step-up the label of the session that it replaces.
    pub fn label<T>(mut self, label: &T) -> Self
    where
        T: Serialize + ?Sized,
    {
        self.label = SessionLabel::new(label).map(Some);
        self
    }

    async fn run(self) -> Result<Grant, StartError> {
        let lifecycle = self.lifecycle;
        if self.sub.is_empty() {
            return Err(StartError::NoSubject);
        }
        if !lifecycle.verifier.keys().signs() {
            return Err(StartError::Key(KeyError::no_signing_key()));
        }
        let profiles = &lifecycle.enforcement.profiles;
        if let Some(name) = self.profile.as_deref().filter(|name| !profiles.contains(name)) {
            return Err(StartError::UnknownProfile(name.to_owned()));
        }
        let app = self.app.map_err(StartError::Claims)?;
        let label = self.label.map_err(StartError::Label)?;
        let tenant = self.tenant.as_deref();
        let policy = profiles.effective(self.profile.as_deref(), lifecycle.overrides_of(tenant));
        let now = lifecycle.now();
        let mut claims = SessionClaims::new(&self.sub, &new_id(), now, now);
        claims.iat = now.floor_to_secs();
        claims.exp = rules::successor_times(&claims, &policy, now).exp;
        claims.iss = lifecycle.iss().map(Box::from);
        claims.tenant = tenant.map(Box::from);
        claims.session_profile = self.profile.as_deref().map(Box::from);
        claims.idle_max = Some(policy.idle_timeout());
        claims.abs_max = Some(policy.absolute_timeout());

        let is_given = app.is_some() && !self.inherits;
        let granted = lifecycle.claims_of(app, is_given, self.replaces, &claims).await?;
        claims.claims_at = granted.claims_at;
        let (aud, app) = (lifecycle.verifier.aud(), granted.app.as_ref());
        let payloads = |claims: &SessionClaims| {
            let access = NewToken { claims, aud, app }.payload();
            let refresh = lifecycle.reuse_grace.map(|_| {
                let exp = rules::refresh_exp(claims, &policy);
                let claims = &SessionClaims { exp, ..claims.clone() };
                NewToken { claims, aud, app }.payload()
            });
            (access, refresh)
        };
        // The epoch of the store may be another one; it has as many digits.
        claims.epoch = Some(now);
        let (access, refresh) = payloads(&claims);
        lifecycle.check_length(&access, refresh.as_deref()).map_err(StartError::TokenTooLong)?;
        let sign = |access: &str, refresh: Option<&str>| {
            Grant::sign(&lifecycle.verifier, access, refresh, &policy, now).map_err(StartError::Key)
        };
        if let Some(replaced) = self.replaces {
            // A key that fails must not end the session that would be replaced.
            sign(&access, refresh.as_deref())?;
            replaced.forbid_renewal();
        }
        claims.epoch = Some(lifecycle.begin(&claims, label, self.replaces, &policy, now).await?);
        let (access, refresh) = payloads(&claims);
        sign(&access, refresh.as_deref())
    }
}

impl Lifecycle {
    /// The app's claims of a new session: those of the claims source, unless the sign-in gives them. A
    /// token whose claims the sign-in gives has no `claims_at`: nobody knows when the app read them, so
    /// after a change its first request asks the source (P37).
    async fn claims_of(
        &self,
        app: Option<AppClaims>,
        is_given: bool,
        replaced: Option<&Session>,
        claims: &SessionClaims,
    ) -> Result<GrantedClaims, StartError> {
        let Some(source) = self.claims.as_ref().filter(|_| !is_given) else {
            return Ok(GrantedClaims { app, claims_at: None });
        };
        let asked = if let Some(session) = replaced {
            self.ask_claims_source(&**source, session.token()).await
        } else {
            let payload = NewToken { claims, aud: self.verifier.aud(), app: None }.payload();
            let token = VerifiedToken::dangerous_from_payload(&payload);
            let token = token.expect("the payload of a new token is well-formed");
            self.ask_claims_source(&**source, &token).await
        };
        match asked.map_err(StartError::Unavailable)? {
            CurrentClaims::Granted(granted) => {
                Ok(GrantedClaims { app: granted.app.or(app), ..granted })
            }
            CurrentClaims::Denied | CurrentClaims::Ended => Err(StartError::Denied),
        }
    }

    /// Checks that every carrier takes the first tokens of a session, and their successors.
    fn check_length(&self, access: &str, refresh: Option<&str>) -> Result<(), TokenTooLong> {
        let keys = self.verifier.keys();
        let every = self.limits.every.saturating_sub(SUCCESSOR_GROWTH);
        check_length(keys, access, Purpose::Access, every)?;
        refresh.map_or(Ok(()), |refresh| {
            check_length(keys, refresh, Purpose::Refresh, MAX_TOKEN - SUCCESSOR_GROWTH)
        })
    }

    pub(super) fn overrides_of(&self, tenant: Option<&str>) -> Option<TimeoutOverrides> {
        self.enforcement.overrides(|| tenant.map(|tenant| StoreKey::account(self.iss(), tenant)))
    }

    /// Begins the session in the store, and ends the one that it replaces; returns its epoch.
    async fn begin(
        &self,
        claims: &SessionClaims,
        label: Option<SessionLabel>,
        replaced: Option<&Session>,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Timestamp, StartError> {
        let key = self.session_key(&claims.sid);
        let scopes = Scopes::new(self.iss(), claims.tenant.as_deref(), &claims.sub);
        let subject = self.enforcement.audit_subject(key, &scopes, &claims.sub);
        let audit = AuditRecord::new(now, AuditEvent::SessionStarted, subject);
        if let Some(store) = self.enforcement.lifecycle_store() {
            let (idle, absolute) = (policy.idle_timeout(), policy.absolute_timeout());
            let mut record = SessionRecord::from_claims(key, scopes, claims, idle, absolute, now);
            record.epoch = now;
            record.label = label;
            let mut sign_in = SignIn::new(record, audit.clone());
            sign_in.replaces = replaced.and_then(|replaced| self.replaced(replaced, now));
            sign_in.limit = self.session_limit;
            // Without the epoch of the store an earlier bulk revocation could miss the session.
            let begun = self.answer(store.begin(sign_in)).await.map_err(StartError::Unavailable)?;
            let begun = begun.begun().ok_or(StartError::TooManySessions)?;
            for audit in begun.ended.into_iter().chain([audit]) {
                self.enforcement.record_committed(audit);
            }
            return Ok(begun.epoch);
        }
        if let Some(store) = self.enforcement.store().filter(|_| policy.records_activity()) {
            let idle = policy.idle_timeout();
            let touch = Touch::new(now, claims.auth_time, idle);
            // Without an entry the token proves the activity: a failure must not reject the sign-in.
            let _ = self.answer(store.touch(SessionKeys::new(key, scopes.user), touch)).await;
        }
        self.enforcement.record(audit);
        if let Some(replaced) = replaced {
            self.enforcement.sign_out(replaced).await.map_err(StartError::Unavailable)?;
        }
        Ok(now)
    }

    /// What the store ends in the step that begins the session in its place. A session that can no
    /// longer be active needs no tombstone.
    fn replaced(&self, session: &Session, now: Timestamp) -> Option<ReplacedSession> {
        let (enforcement, token) = (&self.enforcement, session.token());
        let tombstone = enforcement.tombstone(token, now);
        let event = AuditEvent::SessionEnded { cause: SessionEndCause::Replaced };
        let audit = enforcement.audit(token, event, now);
        let epoch = enforcement.epoch(token);
        let query = RefreshQuery::new(token.session_key(), epoch, *token.scopes());
        (now < tombstone.until).then(|| ReplacedSession::new(query, tombstone, audit))
    }
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
