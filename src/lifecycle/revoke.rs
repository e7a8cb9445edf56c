//! Revocation: of one session, or of all sessions of a scope.

use super::Lifecycle;
use crate::{
    audit::{AuditEvent, AuditSubject},
    identity::Scope,
    rejection::Rejection,
    session::Session,
    store::{BulkRevocation, Exempt},
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
            Some(record) => AuditSubject::session(session, &record.scopes),
            None => AuditSubject { session: Some(session), ..AuditSubject::default() },
        };
        let event = AuditEvent::SessionEnded;
        self.enforcement.revoke(session, self.latest_end(now), &event, &subject).await
    }

    /// Signs `session` out; the caller has its verified token.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Rejection> {
        self.enforcement.sign_out(session).await
    }

    /// Revokes all sessions of `scope` but `exempt`; returns how many were active.
    pub(crate) async fn revoke_all(&self, scope: Scope, exempt: Exempt) -> Result<u64, Rejection> {
        let now = self.now();
        let mark = now + self.enforcement.profiles.widest_clock_skew();
        let event = AuditEvent::SessionsRevokedBulk { scope };
        let revocation = BulkRevocation {
            scope,
            exempt,
            now,
            mark,
            until: self.latest_end(mark),
            log: event.row(now, &AuditSubject::scope(scope)),
        };
        self.answer(self.lifecycle_store()?.revoke_all(revocation)).await
    }
}
