//! Bulk revocation: all sessions of a scope.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use super::Lifecycle;
use crate::{
    audit::{AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::Scope,
    rejection::Rejection,
    session::Session,
    store::{BulkRevocation, Exempt, RevocationCutoff},
};

/// The revocation of all sessions of a scope. Await it for the number of sessions that were active.
#[must_use = "nothing is revoked until this is awaited"]
pub struct RevokeAll<'a> {
    lifecycle: &'a Lifecycle,
    scope: Scope,
    exempt: Exempt,
    actor: Option<AuditActor>,
}

impl<'a> RevokeAll<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, scope: Scope, exempt: Exempt) -> Self {
        Self { lifecycle, scope, exempt, actor: None }
    }

    /// The session of the user who revokes: the actor of the audit record. Default: none.
    pub fn actor(mut self, session: &Session) -> Self {
        self.actor = Some(self.lifecycle.enforcement.audit_actor(session));
        self
    }

    async fn run(self) -> Result<u64, Rejection> {
        let Self { lifecycle, scope, exempt, actor } = self;
        let now = lifecycle.now();
        // The skew: a token that another node minted up to now is revoked, too.
        let at = now + lifecycle.enforcement.profiles.widest_clock_skew();
        let cutoff = RevocationCutoff::new(at, lifecycle.latest_end(at));
        let event = AuditEvent::SessionsRevokedBulk { scope: scope.kind(), revoked_count: 0 };
        let subject = AuditSubject::from_scope(scope);
        let audit = AuditRecord::new(now, event, subject).with_actor(actor);
        let mut revocation = BulkRevocation::new(scope, now, cutoff, audit.clone());
        revocation.exempt = exempt;
        let count = lifecycle.answer(lifecycle.lifecycle_store()?.revoke_all(revocation)).await?;
        lifecycle.enforcement.record_committed(audit.with_revoked_count(count));
        Ok(count)
    }
}

impl<'a> IntoFuture for RevokeAll<'a> {
    type Output = Result<u64, Rejection>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for RevokeAll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevokeAll(..)")
    }
}
