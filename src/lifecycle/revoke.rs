//! Revocation: of one session, or of all sessions of a scope.

use super::Lifecycle;
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject},
    identity::Scope,
    rejection::Rejection,
    session::Session,
    store::{BulkRevocation, Exempt, RevocationCutoff},
};

impl Lifecycle {
    /// Revokes the session `sid`, whether or not the store knows it.
    pub(crate) async fn revoke(&self, sid: &str) -> Result<(), Rejection> {
        let (now, session) = (self.now(), self.session_key(sid));
        let record = match self.enforcement.lifecycle_store() {
            Some(store) => self.answer(store.session(session, now)).await?,
            None => None,
        };
        let subject = match record {
            Some(record) => self.enforcement.audit_subject(session, &record.scopes, &record.sub),
            None => AuditSubject::from_session_key(session),
        };
        let audit = AuditRecord::new(now, AuditEvent::SessionEnded, subject);
        self.enforcement.revoke(session, self.latest_end(now), audit).await
    }

    /// Signs `session` out; the caller has its verified token.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Rejection> {
        self.enforcement.sign_out(session).await
    }

    /// Revokes all sessions of `scope` but `exempt`; returns how many were active.
    pub(crate) async fn revoke_all(&self, scope: Scope, exempt: Exempt) -> Result<u64, Rejection> {
        let now = self.now();
        let at = now + self.enforcement.profiles.widest_clock_skew();
        let cutoff = RevocationCutoff::new(at, self.latest_end(at));
        let event = AuditEvent::SessionsRevokedBulk { scope: scope.kind(), revoked_count: 0 };
        let audit = AuditRecord::new(now, event, AuditSubject::from_scope(scope));
        let mut revocation = BulkRevocation::new(scope, now, cutoff, audit.clone());
        revocation.exempt = exempt;
        let count = self.answer(self.lifecycle_store()?.revoke_all(revocation)).await?;
        if count > 0 {
            self.enforcement.record_committed(audit.with_revoked_count(count));
        }
        Ok(count)
    }
}
