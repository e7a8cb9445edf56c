//! What an account's owner has decided about its sessions.

use std::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use super::Lifecycle;
use crate::{
    audit::{AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::{Scope, StoreKey},
    policy::{OutOfBounds, OverrideBounds, TimeoutOverrides},
    rejection::{Rejection, RejectionKind},
    session::Session,
    store::OverridesChange,
};

/// How often a change is tried anew where another one came in between.
const ATTEMPTS: usize = 8;

/// An account's policy: what is overridden, what is in force, and within which bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountPolicy {
    /// What the owner has decided; `None` means the default.
    pub overrides: TimeoutOverrides,
    /// The idle timeout in force.
    pub idle_timeout: Duration,
    /// The absolute timeout in force.
    pub absolute_timeout: Duration,
    /// The bounds of the overrides: those of the service, at most the timeouts of its policy unless
    /// overrides may be longer.
    pub bounds: OverrideBounds,
}

/// Why an account's policy was not changed.
///
/// With feature `axum` it is a response: 422 for [`OutOfBounds`](Self::OutOfBounds), 503 for
/// [`Unavailable`](Self::Unavailable).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountPolicyError {
    /// These overrides are out of bounds.
    OutOfBounds(Vec<OutOfBounds>),
    /// The store did not answer, or each attempt met another change made at the same time.
    Unavailable(Rejection),
}

impl From<Rejection> for AccountPolicyError {
    fn from(rejection: Rejection) -> Self {
        Self::Unavailable(rejection)
    }
}

impl fmt::Display for AccountPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBounds(errors) => {
                let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join("; "))
            }
            Self::Unavailable(_) => f.write_str("the account policy could not be stored"),
        }
    }
}

impl Error for AccountPolicyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::OutOfBounds(_) => None,
            Self::Unavailable(rejection) => Some(rejection),
        }
    }
}

impl Lifecycle {
    pub(crate) async fn account_policy(&self, tenant: &str) -> Result<AccountPolicy, Rejection> {
        let account = StoreKey::account(self.iss(), tenant);
        let overrides = self.answer(self.lifecycle_store()?.overrides(account)).await?;
        Ok(self.describe(overrides))
    }

    fn describe(&self, overrides: TimeoutOverrides) -> AccountPolicy {
        let policy = self.enforcement.profiles.effective(None, Some(overrides));
        AccountPolicy {
            overrides,
            idle_timeout: policy.idle_timeout(),
            absolute_timeout: policy.absolute_timeout(),
            bounds: self.bounds.clone(),
        }
    }

    fn effective(&self, overrides: TimeoutOverrides) -> TimeoutOverrides {
        let AccountPolicy { idle_timeout, absolute_timeout, .. } = self.describe(overrides);
        TimeoutOverrides { idle: Some(idle_timeout), absolute: Some(absolute_timeout) }
    }
}

/// A change of the overrides of an account. Await it for the policy that results.
#[must_use = "nothing changes until this is awaited"]
pub struct ChangeAccountPolicy<'a, F> {
    lifecycle: &'a Lifecycle,
    tenant: &'a str,
    change: F,
    actor: Option<AuditActor>,
}

impl<'a, F> ChangeAccountPolicy<'a, F>
where
    F: Fn(TimeoutOverrides) -> TimeoutOverrides,
{
    pub(crate) const fn new(lifecycle: &'a Lifecycle, tenant: &'a str, change: F) -> Self {
        Self { lifecycle, tenant, change, actor: None }
    }

    /// The session of the user who changes the policy: the actor of the audit record. Default: none.
    pub fn actor(mut self, session: &Session) -> Self {
        self.actor = Some(self.lifecycle.enforcement.audit_actor(session));
        self
    }

    async fn run(self) -> Result<AccountPolicy, AccountPolicyError> {
        let Self { lifecycle, tenant, change, actor } = self;
        let account = StoreKey::account(lifecycle.iss(), tenant);
        let store = lifecycle.lifecycle_store()?;
        for _ in 0..ATTEMPTS {
            let old = lifecycle.answer(store.overrides(account)).await?;
            let new = change(old);
            let normal = lifecycle.enforcement.profiles.normal();
            lifecycle.bounds.check(new, normal).map_err(AccountPolicyError::OutOfBounds)?;
            if new == old {
                return Ok(lifecycle.describe(new));
            }
            let event = AuditEvent::SessionPolicyUpdate {
                old,
                new,
                effective_old: lifecycle.effective(old),
                effective_new: lifecycle.effective(new),
            };
            let subject = AuditSubject::from_scope(Scope::Account(account));
            let audit = AuditRecord::new(lifecycle.now(), event, subject).with_actor(actor.clone());
            let change = OverridesChange::new(account, old, new, audit.clone());
            if lifecycle.answer(store.set_overrides(change)).await? {
                lifecycle.enforcement.record_committed(audit);
                return Ok(lifecycle.describe(new));
            }
        }
        Err(AccountPolicyError::Unavailable(RejectionKind::StoreUnavailable.into()))
    }
}

impl<'a, F> IntoFuture for ChangeAccountPolicy<'a, F>
where
    F: Fn(TimeoutOverrides) -> TimeoutOverrides + Send + 'a,
{
    type Output = Result<AccountPolicy, AccountPolicyError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<F> fmt::Debug for ChangeAccountPolicy<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangeAccountPolicy(..)")
    }
}
