//! Revocation of one session by its `sid`.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
};

use super::Lifecycle;
use crate::{
    audit::{AuditActor, AuditEvent, AuditRecord, AuditSubject, SessionEndCause},
    rejection::Rejection,
    session::Session,
    store::Tombstone,
};

/// The revocation of one session. Await it.
#[must_use = "nothing is revoked until this is awaited"]
pub struct Revoke<'a> {
    lifecycle: &'a Lifecycle,
    sid: &'a str,
    actor: Option<AuditActor>,
}

impl<'a> Revoke<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, sid: &'a str) -> Self {
        Self { lifecycle, sid, actor: None }
    }

    /// The session of the user who revokes: the actor of the audit record. Default: none.
    pub fn actor(mut self, session: &Session) -> Self {
        self.actor = Some(self.lifecycle.enforcement.audit_actor(session));
        self
    }

    async fn run(self) -> Result<(), Rejection> {
        let Self { lifecycle, sid, actor } = self;
        let enforcement = &lifecycle.enforcement;
        let (now, session) = (lifecycle.now(), lifecycle.session_key(sid));
        let record = match enforcement.lifecycle_store() {
            Some(store) => lifecycle.answer(store.session(session, now)).await?,
            None => None,
        };
        let mut subject = AuditSubject::from_session_key(session);
        let mut tombstone = Tombstone::new(session, now, lifecycle.latest_end(now));
        if let Some(record) = record {
            subject = enforcement.audit_subject(session, &record.scopes, &record.sub);
            tombstone = tombstone.of_user(record.scopes.user, Some(record.epoch));
            tombstone.until = record.ends_at + enforcement.profiles.widest_clock_skew();
        }
        let event = AuditEvent::SessionEnded { cause: SessionEndCause::Revoked };
        let audit = AuditRecord::new(now, event, subject).with_actor(actor);
        enforcement.revoke(tombstone, audit).await
    }
}

impl<'a> IntoFuture for Revoke<'a> {
    type Output = Result<(), Rejection>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Revoke<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revoke(..)")
    }
}
