//! Who is signed in, and what happened.

use super::Lifecycle;
use crate::{
    audit::AuditRecord,
    identity::Scope,
    maybe_ready::MaybeReady,
    rejection::Rejection,
    store::{ActiveUser, ListQuery, LogScope, Page, SessionRecord},
    time::Timestamp,
};

impl Lifecycle {
    pub(crate) async fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<SessionRecord>, Rejection> {
        let now = self.now();
        let mut page = self.answer(self.lifecycle_store()?.sessions(scope, query, now)).await?;
        page.items.retain(|record| self.is_live(record, now));
        Ok(page)
    }

    pub(crate) async fn session(&self, sid: &str) -> Result<Option<SessionRecord>, Rejection> {
        let now = self.now();
        let record =
            self.answer(self.lifecycle_store()?.session(self.session_key(sid), now)).await?;
        Ok(record.filter(|record| self.is_live(record, now)))
    }

    /// When the session of `record` ends without another activity, and whatever happens: by what
    /// it began with, or by what its policy says now where that is shorter (P20).
    pub(crate) fn deadlines_of(&self, record: &SessionRecord) -> (Timestamp, Timestamp) {
        let overrides = self.overrides_of(record.tenant.as_deref());
        let policy = self.enforcement.profiles.effective(record.profile.as_deref(), overrides);
        let absolute = record.ends_at.min(record.auth_time + policy.absolute_timeout());
        let idle = record.last_seen + record.idle.min(policy.idle_timeout());
        (idle.min(absolute), absolute)
    }

    /// A store knows how long a session was to live when it began, and not what was decided since.
    fn is_live(&self, record: &SessionRecord, now: Timestamp) -> bool {
        now < self.deadlines_of(record).0
    }

    pub(crate) async fn active_users(
        &self,
        scope: Scope,
        limit: u32,
    ) -> Result<Vec<ActiveUser>, Rejection> {
        self.answer(self.lifecycle_store()?.active_users(scope.key(), limit, self.now())).await
    }

    pub(crate) async fn log(
        &self,
        log: LogScope,
        query: ListQuery,
    ) -> Result<Page<AuditRecord>, Rejection> {
        if let Some(audit_queue) = self.audit_queue().cloned() {
            // What has happened before the question is part of the answer.
            let flushed = MaybeReady::new(async move {
                audit_queue.flush().await;
                Ok(())
            });
            self.answer(flushed).await?;
        }
        self.answer(self.lifecycle_store()?.log(log, query)).await
    }
}
