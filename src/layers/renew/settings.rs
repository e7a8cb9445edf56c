//! The settings of the renewal layer.

use std::sync::Arc;

use crate::{
    audit::{AuditEvent, AuditQueue, AuditRecord},
    clock::Clock,
    policy::Profiles,
    session::Session,
    store::RenewalLimiter,
    token::{ClaimsSource, JwtKeys},
    transport::TokenDelivery,
};

#[derive(Clone)]
pub(crate) struct RenewSettings {
    pub(super) keys: Arc<JwtKeys>,
    pub(super) profiles: Arc<Profiles>,
    pub(super) delivery: TokenDelivery,
    pub(super) limiter: Arc<dyn RenewalLimiter>,
    /// Limits the renewals of each session on this node while `limiter` is full or fails.
    pub(super) node_limiter: Arc<dyn RenewalLimiter>,
    pub(super) claims: Option<Arc<dyn ClaimsSource>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) session_expires: bool,
    pub(super) audit_queue: Option<AuditQueue>,
}

impl RenewSettings {
    pub(super) fn record(&self, event: AuditEvent, session: &Session) {
        if let Some(audit_queue) = &self.audit_queue {
            let subject = session.token().audit_subject(Some(audit_queue));
            audit_queue.record(AuditRecord::new(self.clock.now(), event, subject));
        }
    }
}
