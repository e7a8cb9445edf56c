//! What enforcement sends to the audit sinks.

use std::sync::Arc;

use super::{Enforcement, Session};
use crate::{
    audit::{AuditActor, AuditEvent, AuditRecord, AuditSubject},
    identity::{Scopes, StoreKey},
    time::Timestamp,
    token::VerifiedToken,
};

impl Enforcement {
    /// Creates a record about the session of `token`.
    pub(crate) fn audit(
        &self,
        token: &VerifiedToken,
        event: AuditEvent,
        now: Timestamp,
    ) -> AuditRecord {
        AuditRecord::new(now, event, token.audit_subject(self.audit_queue.as_ref()))
    }

    /// Creates the subject of a record about the session `session` of `sub`.
    pub(crate) fn audit_subject(
        &self,
        session: StoreKey,
        scopes: &Scopes,
        sub: &str,
    ) -> AuditSubject {
        AuditSubject::from_session(session, scopes).with_sub(self.plain_subject(sub))
    }

    /// The user of `session`, as the actor of an audit record.
    pub(crate) fn audit_actor(&self, session: &Session) -> AuditActor {
        let sub = self.plain_subject(session.subject());
        AuditActor::new(session.token().user_key()).with_sub(sub)
    }

    fn plain_subject(&self, sub: &str) -> Option<Arc<str>> {
        self.audit_queue.as_ref().and_then(|audit_queue| audit_queue.plain_subject(sub))
    }

    /// Sends a record to every sink.
    pub(crate) fn record(&self, audit: AuditRecord) {
        if let Some(audit_queue) = &self.audit_queue {
            audit_queue.record(audit);
        }
    }

    /// Sends a record that the lifecycle store has written in a transaction to the other sinks,
    /// after the commit.
    pub(crate) fn record_committed(&self, audit: AuditRecord) {
        if let Some(audit_queue) = &self.audit_queue {
            audit_queue.record_committed(audit);
        }
    }
}
