//! The Redis store as a lifecycle store.

use std::sync::Arc;

use super::RedisStore;
use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, StoreKey},
    maybe_ready::MaybeReady,
    policy::TimeoutOverrides,
    store::{
        ActiveUser, BulkRevocation, ClaimsChange, LifecycleQueries, LifecycleStore, ListQuery,
        OpenTicket, OverridesChange, Page, RefreshQuery, RefreshState, Rotated, Rotation,
        SessionRecord, SignIn, SignInOutcome, TicketUse, Tombstone,
    },
    time::Timestamp,
};

impl LifecycleStore for RedisStore {
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.begin_session(sign_in).await })
    }

    fn adopt(&self, record: SessionRecord) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.adopt_session(record).await })
    }

    fn refresh_state(&self, query: RefreshQuery) -> MaybeReady<RefreshState> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.state(query).await })
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.exchange(rotation).await })
    }

    fn revoke(&self, tombstone: Tombstone, audit: AuditRecord) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke(tombstone, Some(audit)).await })
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke_scope(revocation).await })
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.overrides_of(account).await })
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.replace_overrides(change).await })
    }

    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.raise_claims(change).await })
    }

    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.open(ticket).await })
    }

    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.close(used).await })
    }

    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.append_audit_records(&records).await })
    }

    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.append_activity_entries(&entries).await })
    }
}

impl LifecycleQueries for RedisStore {
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.sessions_page(scope, query, now).await })
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.session_record(session, now).await })
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        let store = Arc::clone(&self.0);
        Some(MaybeReady::new(async move { store.active_users_of(account, limit, now).await }))
    }

    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.audit_page(scope, query).await })
    }

    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.activity_page(scope, query).await })
    }
}
