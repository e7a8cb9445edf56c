//! Sign-out: of one session, or of all sessions of a scope.

use super::Lifecycle;
use crate::{
    audit::{AuditEvent, AuditSubject},
    identity::{Scope, StoreKey},
    rejection::Rejection,
    session::Session,
    store::{BulkRevocation, Exempt},
    time::Timestamp,
};

impl Lifecycle {
    /// Ends the session `sid`, whether or not it is known.
    pub(crate) async fn revoke(&self, sid: &str) -> Result<(), Rejection> {
        let (now, session) = (self.now(), self.session_key(sid));
        let record = match &self.records {
            Some(records) => self.answer(records.session(session, now)).await?,
            None => None,
        };
        let about = match record {
            Some(record) => AuditSubject::session(session, &record.scopes),
            None => AuditSubject { session: Some(session), ..AuditSubject::default() },
        };
        self.write_end(session, now, &about).await
    }

    /// Ends `session`, of which the caller holds the proof.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Rejection> {
        session.forbid_renewal();
        let token = session.token();
        self.write_end(token.session_key(), self.now(), &token.audit_subject()).await
    }

    async fn write_end(
        &self,
        session: StoreKey,
        now: Timestamp,
        about: &AuditSubject,
    ) -> Result<(), Rejection> {
        let until = self.latest_end(now);
        if let Some(records) = &self.records {
            let log = AuditEvent::SessionEnded.row(now, about);
            return self.answer(records.revoke(session, until, log)).await.map(drop);
        }
        let store = self.enforcement.store().expect("the hub has set one");
        self.answer(store.write_tombstone(session, until)).await?;
        self.note(&AuditEvent::SessionEnded, now, about);
        Ok(())
    }

    /// Ends all sessions of `scope` but `exempt`; how many were ended.
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
        self.answer(self.records()?.revoke_all(revocation)).await
    }
}
