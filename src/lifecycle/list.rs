//! Lists: active sessions, active users, the audit log and the activity log.

use std::collections::HashSet;

use super::Lifecycle;
use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::Scope,
    maybe_ready::MaybeReady,
    rejection::Rejection,
    store::{ActiveUser, ListQuery, Page, SessionRecord},
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
        page.items.retain(|record| self.is_active(record, now));
        Ok(page)
    }

    pub(crate) async fn session(&self, sid: &str) -> Result<Option<SessionRecord>, Rejection> {
        let now = self.now();
        let record =
            self.answer(self.lifecycle_store()?.session(self.session_key(sid), now)).await?;
        Ok(record.filter(|record| self.is_active(record, now)))
    }

    /// Returns the idle and the absolute deadline of the session of `record`: by the timeouts that
    /// it began with, or by those of its policy now, whichever are shorter (P20). The token of an
    /// earlier system may have kept its session active past the absolute timeout.
    pub(crate) fn deadlines_of(&self, record: &SessionRecord) -> (Timestamp, Timestamp) {
        let overrides = self.overrides_of(record.tenant.as_deref());
        let policy = self.enforcement.profiles.effective(record.profile.as_deref(), overrides);
        let by_policy = record.auth_time + policy.absolute_timeout();
        let absolute = if record.is_adopted && record.last_seen >= by_policy {
            record.ends_at
        } else {
            record.ends_at.min(by_policy)
        };
        let idle = record.last_seen + record.idle.min(policy.idle_timeout());
        (idle.min(absolute), absolute)
    }

    /// Checks the deadlines again: a store knows the timeouts of the sign-in only, and the policy
    /// may have been shortened since.
    fn is_active(&self, record: &SessionRecord, now: Timestamp) -> bool {
        now < self.deadlines_of(record).0
    }

    pub(crate) async fn active_users(
        &self,
        scope: Scope,
        limit: u32,
    ) -> Result<Vec<ActiveUser>, Rejection> {
        match self.lifecycle_store()?.active_users(scope.key(), limit, self.now()) {
            Some(users) => self.answer(users).await,
            None => self.collect_users(scope, limit).await,
        }
    }

    /// Collects the users of a scope from its sessions.
    async fn collect_users(&self, scope: Scope, limit: u32) -> Result<Vec<ActiveUser>, Rejection> {
        let now = self.now();
        let (mut users, mut seen) = (Vec::new(), HashSet::new());
        let mut query = ListQuery::first(ListQuery::MAX_LIMIT);
        loop {
            let page = self.answer(self.lifecycle_store()?.sessions(scope, query, now)).await?;
            for record in page.items {
                if users.len() >= limit as usize {
                    return Ok(users);
                }
                if seen.insert(record.scopes.user) {
                    users.push(ActiveUser::new(record.sub, record.auth_time));
                }
            }
            let Some(next) = page.next else { return Ok(users) };
            query = ListQuery::first(ListQuery::MAX_LIMIT).after(next);
        }
    }

    pub(crate) async fn audit_log(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<AuditRecord>, Rejection> {
        self.flush_store_log().await?;
        self.answer(self.lifecycle_store()?.audit_log(scope, query)).await
    }

    pub(crate) async fn activity_log(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<ActivityEntry>, Rejection> {
        self.flush_store_log().await?;
        self.answer(self.lifecycle_store()?.activity_log(scope, query)).await
    }

    /// Waits until the store's log has received what happened before the query.
    async fn flush_store_log(&self) -> Result<(), Rejection> {
        let Some(audit_queue) = self.audit_queue().cloned() else { return Ok(()) };
        let flushed = MaybeReady::new(async move {
            audit_queue.flush_store_log().await;
            Ok(())
        });
        self.answer(flushed).await
    }
}
