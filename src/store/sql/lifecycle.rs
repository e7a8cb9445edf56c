//! The SQL store as a lifecycle store: each transaction, and what this node does after its commit.

use std::sync::Arc;

use super::{Inner, SqlStore, folding::Fold, revocation::Revoke, sessions::Adopt};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, StoreKey},
    maybe_ready::{MaybeReady, StoreError},
    policy::TimeoutOverrides,
    store::{
        ActiveUser, BulkRevocation, ClaimsChange, LifecycleQueries, LifecycleStore, ListQuery,
        OpenTicket, OverridesChange, Page, RefreshQuery, RefreshState, Rotated, Rotation,
        SessionRecord, SignIn, SignInOutcome, TicketUse, Tombstone,
        node::{Change, STALE_AFTER, SharedStore as _},
    },
    time::Timestamp,
};

impl Inner {
    async fn adopt(self: &Arc<Self>, record: SessionRecord) -> Result<(), StoreError> {
        let _adopting = self.adopting.lock().await;
        self.sync_if_stale().await?;
        self.commit(&Adopt(&record)).await
    }

    /// Returns whether `audit` was written: the session had no tombstone.
    pub(super) async fn revoke(
        self: &Arc<Self>,
        tombstone: Tombstone,
        audit: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let Tombstone { session, user, at, until, .. } = tombstone;
        let user_of_audit = audit.as_ref().and_then(|audit| audit.subject.user);
        let caller = user.or(user_of_audit).unwrap_or(session);
        let _in_flight = self.calls.acquire(caller).await;
        self.sync_if_stale().await?;
        if self.is_folded(&tombstone) {
            return Ok(false);
        }
        let revoked = self.commit_revocation(Revoke::new(tombstone, audit), caller).await?;
        let user = match revoked.change {
            Some(Change::Revoked { user, .. }) => user,
            _ => user,
        };
        self.apply(&[Change::Revoked { session, user, until }]);
        if let Some(user) = revoked.many_of {
            self.fold(user, at).await;
        }
        Ok(revoked.is_first)
    }

    /// Folds the tombstones of a user. The session that was the reason has ended whether or not it
    /// succeeds; the next one is a reason, too.
    pub(super) async fn fold(&self, user: StoreKey, now: Timestamp) {
        let rows_kept_for = self.sync_interval.saturating_mul(STALE_AFTER);
        let lost = self.latest_lost_epoch();
        match self.commit_alone(&Fold { user, now, rows_kept_for, lost }).await {
            Ok(changes) => self.apply(&changes),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the tombstones of a user were not folded");
            }
        }
    }

    async fn revoke_all(self: &Arc<Self>, revocation: BulkRevocation) -> Result<u64, StoreError> {
        let _in_flight = self.calls.acquire(revocation.scope.key()).await;
        self.sync_if_stale().await?;
        let revoked = self.commit_alone(&revocation).await?;
        self.apply(&revoked.changes);
        Ok(revoked.count)
    }

    async fn set_overrides(self: &Arc<Self>, change: OverridesChange) -> Result<bool, StoreError> {
        let _in_flight = self.calls.acquire(change.account).await;
        self.sync_if_stale().await?;
        let change = self.commit_and_publish(&change).await?;
        self.apply(change.as_slice());
        Ok(change.is_some())
    }
}

impl LifecycleStore for SqlStore {
    fn begin(&self, sign_in: SignIn) -> MaybeReady<SignInOutcome> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.begin(sign_in).await })
    }

    fn adopt(&self, record: SessionRecord) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.adopt(record).await })
    }

    fn refresh_state(&self, query: RefreshQuery) -> MaybeReady<RefreshState> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.refresh_state(query).await })
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.rotate(rotation).await })
    }

    fn revoke(&self, tombstone: Tombstone, audit: AuditRecord) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke(tombstone, Some(audit)).await })
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke_all(revocation).await })
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.overrides(account).await })
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.set_overrides(change).await })
    }

    fn change_claims(&self, change: ClaimsChange) -> MaybeReady<Timestamp> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.change_claims(change).await })
    }

    fn open_ticket(&self, ticket: OpenTicket) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.open_ticket(ticket).await })
    }

    fn use_ticket(&self, used: TicketUse) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.use_ticket(used).await })
    }

    fn append_audit(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.append_audit(records).await })
    }

    fn append_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.append_activity(entries).await })
    }
}

impl LifecycleQueries for SqlStore {
    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> MaybeReady<Page<SessionRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.sessions(scope, query, now).await })
    }

    fn session(&self, session: StoreKey, now: Timestamp) -> MaybeReady<Option<SessionRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.session(session, now).await })
    }

    fn active_users(
        &self,
        account: StoreKey,
        limit: u32,
        now: Timestamp,
    ) -> Option<MaybeReady<Vec<ActiveUser>>> {
        let store = Arc::clone(&self.0);
        Some(MaybeReady::new(async move { store.active_users(account, limit, now).await }))
    }

    fn audit_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.audit_log(scope, query).await })
    }

    fn activity_log(&self, scope: Scope, query: ListQuery) -> MaybeReady<Page<ActivityEntry>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.activity_log(scope, query).await })
    }
}
