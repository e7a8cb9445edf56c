//! A rejected session, and what is recorded about it.

use crate::{
    audit::{AuditEvent, AuditQueue, AuditRecord},
    rejection::{Rejection, RejectionCause},
    time::Timestamp,
    token::VerifiedToken,
};

/// Why a session is rejected, and its last activity as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rejected {
    pub(crate) rejection: Rejection,
    pub(crate) last_activity: Timestamp,
}

impl Rejected {
    /// Emits the debug event of the decision, and records the audit event where there is a queue.
    #[cold]
    pub(crate) fn record(
        &self,
        token: &VerifiedToken,
        now: Timestamp,
        audit_queue: Option<&AuditQueue>,
    ) {
        trace_rejection(&self.rejection);
        let inactive_for = now.since(self.last_activity);
        let event = AuditEvent::from_rejection(self.rejection.kind(), inactive_for);
        if let (Some(audit_queue), Some(event)) = (audit_queue, event) {
            let event = event.with_cause(self.rejection.cause().map(RejectionCause::as_str));
            let subject = token.audit_subject(Some(audit_queue));
            audit_queue.record(AuditRecord::new(now, event, subject));
        }
    }
}

/// The debug event of a rejection: its code, and its cause, which no response contains.
pub(crate) fn trace_rejection(rejection: &Rejection) {
    tracing::debug!(
        code = rejection.code(),
        cause = rejection.cause().map(tracing::field::display),
        "request rejected"
    );
}
