//! Changes of claims: a role, or another claim of the app, of all users of a scope.

use std::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use super::Lifecycle;
use crate::{
    audit::{AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::Scope,
    maybe_ready::LIFECYCLE_TIME_LIMIT,
    rejection::Rejection,
    session::Session,
    store::ClaimsChange,
    time::Timestamp,
};

/// A change of the claims of a scope. Await it after the app has written what its claims source reads.
#[must_use = "tokens keep their claims until this is awaited"]
pub struct ClaimsChanged<'a> {
    lifecycle: &'a Lifecycle,
    scope: Scope,
    actor: Option<AuditActor>,
}

/// Why a change of claims was not made.
///
/// With feature `axum` it is a response: 503 for [`Unavailable`](Self::Unavailable), 500 for
/// [`NoClaimsSource`](Self::NoClaimsSource), which is a mistake in the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimsChangedError {
    /// Nothing returns the current claims: set a
    /// [`claims_source`](crate::sessions::SlidingSessionsBuilder::claims_source).
    NoClaimsSource,
    /// The store did not answer. Call it again: until it succeeds, tokens keep their claims.
    Unavailable(Rejection),
}

impl fmt::Display for ClaimsChangedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoClaimsSource => "no claims source is set: set one with `claims_source`",
            Self::Unavailable(_) => "the change of claims could not be stored",
        })
    }
}

impl Error for ClaimsChangedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NoClaimsSource => None,
            Self::Unavailable(rejection) => Some(rejection),
        }
    }
}

impl<'a> ClaimsChanged<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, scope: Scope) -> Self {
        Self { lifecycle, scope, actor: None }
    }

    /// The session of the user who changes the claims: the actor of the audit record. Default: none.
    pub fn actor(mut self, session: &Session) -> Self {
        self.actor = Some(self.lifecycle.enforcement.audit_actor(session));
        self
    }

    async fn run(self) -> Result<(), ClaimsChangedError> {
        let Self { lifecycle, scope, actor } = self;
        if lifecycle.claims.is_none() {
            return Err(ClaimsChangedError::NoClaimsSource);
        }
        let now = lifecycle.now();
        let event = AuditEvent::ClaimsChanged { scope: scope.kind() };
        let subject = AuditSubject::from_scope(scope);
        let audit = AuditRecord::new(now, event, subject).with_actor(actor);
        let until = lifecycle.latest_older_token(now);
        let change = ClaimsChange::new(scope, now, until, audit.clone());
        let store = lifecycle.lifecycle_store().map_err(ClaimsChangedError::Unavailable)?;
        let changed = lifecycle.answer(store.change_claims(change)).await;
        changed.map_err(ClaimsChangedError::Unavailable)?;
        lifecycle.enforcement.record_committed(audit);
        Ok(())
    }
}

impl Lifecycle {
    /// The latest instant at which any token is valid whose mint began by `now`. A mint takes at most
    /// the time limit of the lifecycle for each of two stores; tokens of other systems have lifetimes
    /// of their own.
    fn latest_older_token(&self, now: Timestamp) -> Timestamp {
        let keys = self.verifier.keys();
        if self.verifier.adopts() || keys.has_issuers() || !keys.signs() {
            return self.latest_end(now);
        }
        let profiles = &self.enforcement.profiles;
        let minted = now + 2 * LIFECYCLE_TIME_LIMIT;
        minted + profiles.longest_token_lifetime() + profiles.widest_clock_skew()
    }
}

impl<'a> IntoFuture for ClaimsChanged<'a> {
    type Output = Result<(), ClaimsChangedError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for ClaimsChanged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClaimsChanged(..)")
    }
}
