//! What an account's owner has decided about its sessions.

use std::{error::Error, fmt, time::Duration};

use super::Lifecycle;
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    identity::{Scope, StoreKey},
    policy::{OutOfBounds, OverrideBounds, TimeoutOverrides},
    rejection::{Rejection, RejectionKind},
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
    /// The system's bounds.
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

    /// Exchanges the account's overrides for what `change` makes of them. Sessions that begin from
    /// now on have the new limits; live ones are judged by them where they are shorter.
    pub(crate) async fn change_account_policy(
        &self,
        tenant: &str,
        change: impl Fn(TimeoutOverrides) -> TimeoutOverrides,
    ) -> Result<AccountPolicy, AccountPolicyError> {
        let account = StoreKey::account(self.iss(), tenant);
        let records = self.lifecycle_store()?;
        for _ in 0..ATTEMPTS {
            let old = self.answer(records.overrides(account)).await?;
            let new = change(old);
            let normal = self.enforcement.profiles.normal();
            self.bounds.check(new, normal).map_err(AccountPolicyError::OutOfBounds)?;
            if new == old {
                return Ok(self.describe(new));
            }
            let event = AuditEvent::SessionPolicyUpdate {
                old,
                new,
                effective_old: self.effective(old),
                effective_new: self.effective(new),
            };
            let subject = AuditSubject::from_scope(Scope::Account(account));
            let audit = AuditRecord::new(self.now(), event, subject);
            let change = OverridesChange::new(account, old, new, audit.clone());
            if self.answer(records.set_overrides(change)).await? {
                self.enforcement.record_committed(audit);
                return Ok(self.describe(new));
            }
        }
        Err(AccountPolicyError::Unavailable(RejectionKind::StoreUnavailable.into()))
    }

    fn describe(&self, overrides: TimeoutOverrides) -> AccountPolicy {
        let policy = self.enforcement.profiles.normal().overridden(overrides);
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
