//! A record of the audit log.

use std::fmt;

use super::{AuditActor, AuditEvent, AuditSubject};
use crate::time::Timestamp;

/// An audit event: what happened, when, to whom, and who did it.
///
/// It holds no text of a client. Users and sessions are named by digests, unless the plain `sub`
/// is [opted in](crate::audit::AuditQueue::plain_subjects). `Debug` shows the time and the event.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditRecord {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: AuditEvent,
    /// The session, user or account that it happened to.
    pub subject: AuditSubject,
    /// Who did it, if that is known and not the subject.
    pub actor: Option<AuditActor>,
}

impl AuditRecord {
    /// Creates a record without an actor.
    #[must_use]
    pub const fn new(at: Timestamp, event: AuditEvent, subject: AuditSubject) -> Self {
        Self { at, event, subject, actor: None }
    }

    /// Sets who did it.
    #[must_use]
    pub fn with_actor(mut self, actor: Option<AuditActor>) -> Self {
        self.actor = actor;
        self
    }

    /// Sets the number of sessions that a [bulk revocation](AuditEvent::SessionsRevokedBulk) has
    /// revoked, which only its store knows. Changes no other event.
    #[must_use]
    pub fn with_revoked_count(mut self, count: u64) -> Self {
        if let AuditEvent::SessionsRevokedBulk { revoked_count, .. } = &mut self.event {
            *revoked_count = count;
        }
        self
    }
}

impl fmt::Debug for AuditRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRecord")
            .field("at", &self.at)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
