//! What a lifecycle store lists: sessions, users and logs.

use std::sync::Arc;

use super::{ActiveUser, ListQuery, Page, SessionRecord};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, StoreKey},
    maybe_ready::MaybeReady,
    time::Timestamp,
};

/// Lists the sessions, users and logs of a [`LifecycleStore`](super::LifecycleStore).
///
/// An activity counts here as soon as it is [written](super::SessionStore::flush).
pub trait LifecycleQueries: Send + Sync + 'static {
    /// Returns the active sessions of a scope, the latest sign-in first.
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>>;

    /// Returns the record of a session, if it is active.
    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>>;

    /// Returns the users of an account with an active session, each once, the latest sign-in
    /// first; at most `limit`. Returns `None` by default, for a store without a query of its own:
    /// the users are then collected from [`sessions`](Self::sessions).
    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        let _ = (account, limit, now);
        None
    }

    /// Returns records of the audit log whose subject is in `scope`, the latest first.
    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>>;

    /// Returns entries of the activity log of `scope`, the latest first. Returns none by default,
    /// for a store without activity log.
    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        let _ = (scope, query);
        MaybeReady::ready(Ok(Page { items: Vec::new(), next: None }))
    }
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> LifecycleQueries for Arc<T>
where
    T: LifecycleQueries + ?Sized,
{
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        (**self).sessions(scope, query, now)
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        (**self).session(session, now)
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        (**self).active_users(account, limit, now)
    }

    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        (**self).audit_log(scope, query)
    }

    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        (**self).activity_log(scope, query)
    }
}
