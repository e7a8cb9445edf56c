//! The durable store as one of whole session lives: each step, and what this node makes of it.

use std::sync::Arc;

use super::{Inner, SqlStore, change_feed::Change, revocation::End, rotation, sessions::Begin};
use crate::{
    audit::AuditRecord,
    identity::{Scope, StoreKey},
    maybe_ready::{MaybeReady, StoreError},
    policy::TimeoutOverrides,
    store::{
        ActiveUser, BulkRevocation, LifecycleStore, ListQuery, LogScope, OverridesChange, Page,
        RefreshAsk, RefreshState, RefreshedSession, Rotated, Rotation, SessionRecord,
        node_cache::Stored,
    },
    time::Timestamp,
};

impl Inner {
    async fn begin(&self, begin: Begin) -> Result<Timestamp, StoreError> {
        let generation = self.node_cache.generation();
        let epoch = self.commit(&begin).await?;
        let SessionRecord { key, idle, last_seen, .. } = begin.record;
        // A request that comes first finds it here.
        self.node_cache.remember(key, Stored { last_seen, idle, generation }, last_seen);
        Ok(epoch)
    }

    async fn refresh_state(&self, ask: RefreshAsk) -> Result<RefreshState, StoreError> {
        let rows = self.database.fetch(rotation::STATE, rotation::asked(ask)).await?;
        Ok(self.seen_here(rotation::state(rows.first(), ask)?, ask.session))
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        let session = rotation.ask.session;
        Ok(match self.commit(&rotation).await? {
            Rotated::Refused(state) => Rotated::Refused(self.seen_here(state, session)),
            Rotated::Done => {
                if rotation.is_activity {
                    self.node_cache.raise(&session, rotation.now);
                }
                Rotated::Done
            }
        })
    }

    /// With the activity that this node has not written yet.
    fn seen_here(&self, state: RefreshState, session: StoreKey) -> RefreshState {
        let RefreshedSession::Known(stored) = state.session else { return state };
        let session = RefreshedSession::Known(self.node_cache.last_seen(&session, stored));
        RefreshState { session, ..state }
    }

    /// Whether the session was live; known only where it is to be logged.
    pub(super) async fn end(
        &self,
        session: StoreKey,
        until: Timestamp,
        log: Option<AuditRecord>,
    ) -> Result<bool, StoreError> {
        let was_live = self.commit(&End { session, until, log }).await?;
        self.apply(&[Change::Ended { session, until }]);
        Ok(was_live)
    }

    async fn revoke_all(&self, revocation: BulkRevocation) -> Result<u64, StoreError> {
        let revoked = self.commit(&revocation).await?;
        self.apply(&revoked.changes);
        Ok(revoked.count)
    }

    async fn set_overrides(&self, change: OverridesChange) -> Result<bool, StoreError> {
        let changes = self.commit(&change).await?;
        // Read in its turn: another node's later change may have been heard already.
        if changes.is_some() && self.sync().await.is_err() {
            self.apply(changes.as_slice());
        }
        Ok(changes.is_some())
    }
}

impl LifecycleStore for SqlStore {
    fn begin(&self, record: SessionRecord, log: AuditRecord) -> MaybeReady<Timestamp> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.begin(Begin { record, log }).await })
    }

    fn refresh_state(&self, ask: RefreshAsk) -> MaybeReady<RefreshState> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.refresh_state(ask).await })
    }

    fn rotate(&self, rotation: Rotation) -> MaybeReady<Rotated> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.rotate(rotation).await })
    }

    fn revoke(&self, session: StoreKey, until: Timestamp, log: AuditRecord) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.end(session, until, Some(log)).await })
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> MaybeReady<u64> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.revoke_all(revocation).await })
    }

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
    ) -> MaybeReady<Vec<ActiveUser>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.active_users(account, limit, now).await })
    }

    fn overrides(&self, account: StoreKey) -> MaybeReady<TimeoutOverrides> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.overrides(account).await })
    }

    fn set_overrides(&self, change: OverridesChange) -> MaybeReady<bool> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.set_overrides(change).await })
    }

    fn append(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.append(rows).await })
    }

    fn log(&self, log: LogScope, query: ListQuery) -> MaybeReady<Page<AuditRecord>> {
        let store = Arc::clone(&self.0);
        MaybeReady::new(async move { store.log(log, query).await })
    }
}
