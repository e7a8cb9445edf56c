//! The durable store as one of whole session lives: each step, and what this node makes of it.

use std::sync::Arc;

use super::{
    Inner, SqlStore, front::Stored, news::News, revocation::End, rotation, sessions::Begin,
};
use crate::{
    rules::{Overrides, Timestamp},
    store::{
        ActiveUser, BulkRevocation, Key, LifecycleStore, ListQuery, LogRow, LogScope,
        OverridesChange, Page, RefreshAsk, RefreshState, RefreshedSession, Rotated, Rotation,
        Scope, SessionRecord, StoreError, StoreFuture,
    },
};

impl Inner {
    async fn begin(&self, begin: Begin) -> Result<Timestamp, StoreError> {
        let generation = self.front.generation();
        let epoch = self.commit(&begin).await?;
        let SessionRecord { key, idle, last_seen, .. } = begin.record;
        // A request that comes first finds it here.
        self.front.remember(key, Stored { last_seen, idle, generation }, last_seen);
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
                    self.front.raise(&session, rotation.now);
                }
                Rotated::Done
            }
        })
    }

    /// With the activity that this node has not written yet.
    fn seen_here(&self, state: RefreshState, session: Key) -> RefreshState {
        let RefreshedSession::Known(stored) = state.session else { return state };
        let session = RefreshedSession::Known(self.front.last_seen(&session, stored));
        RefreshState { session, ..state }
    }

    /// Whether the session was live; known only where it is to be logged.
    pub(super) async fn end(
        &self,
        session: Key,
        until: Timestamp,
        log: Option<LogRow>,
    ) -> Result<bool, StoreError> {
        let was_live = self.commit(&End { session, until, log }).await?;
        self.hear(&[News::Ended { session, until }]);
        Ok(was_live)
    }

    async fn revoke_all(&self, revocation: BulkRevocation) -> Result<u64, StoreError> {
        let revoked = self.commit(&revocation).await?;
        self.hear(&revoked.news);
        Ok(revoked.count)
    }

    async fn set_overrides(&self, change: OverridesChange) -> Result<bool, StoreError> {
        let news = self.commit(&change).await?;
        // Read in its turn: another node's later change may have been heard already.
        if news.is_some() && self.listen().await.is_err() {
            self.hear(news.as_slice());
        }
        Ok(news.is_some())
    }
}

impl LifecycleStore for SqlStore {
    fn begin(&self, record: SessionRecord, log: LogRow) -> StoreFuture<Timestamp> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.begin(Begin { record, log }).await })
    }

    fn refresh_state(&self, ask: RefreshAsk) -> StoreFuture<RefreshState> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.refresh_state(ask).await })
    }

    fn rotate(&self, rotation: Rotation) -> StoreFuture<Rotated> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.rotate(rotation).await })
    }

    fn revoke(&self, session: Key, until: Timestamp, log: LogRow) -> StoreFuture<bool> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.end(session, until, Some(log)).await })
    }

    fn revoke_all(&self, revocation: BulkRevocation) -> StoreFuture<u64> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.revoke_all(revocation).await })
    }

    fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
        now: Timestamp,
    ) -> StoreFuture<Page<SessionRecord>> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.sessions(scope, query, now).await })
    }

    fn session(&self, session: Key, now: Timestamp) -> StoreFuture<Option<SessionRecord>> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.session(session, now).await })
    }

    fn active_users(
        &self,
        account: Key,
        limit: u32,
        now: Timestamp,
    ) -> StoreFuture<Vec<ActiveUser>> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.active_users(account, limit, now).await })
    }

    fn overrides(&self, account: Key) -> StoreFuture<Overrides> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.overrides(account).await })
    }

    fn set_overrides(&self, change: OverridesChange) -> StoreFuture<bool> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.set_overrides(change).await })
    }

    fn append(&self, rows: Vec<LogRow>) -> StoreFuture<()> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.append(rows).await })
    }

    fn log(&self, log: LogScope, query: ListQuery) -> StoreFuture<Page<LogRow>> {
        let store = Arc::clone(&self.0);
        StoreFuture::new(async move { store.log(log, query).await })
    }
}
