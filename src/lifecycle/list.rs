//! Who is signed in, and what happened.

use super::Lifecycle;
use crate::{
    rejection::Rejection,
    store::{ActiveUser, ListQuery, LogRow, LogScope, Page, Scope, SessionRecord, StoreFuture},
};

impl Lifecycle {
    pub(crate) async fn sessions(
        &self,
        scope: Scope,
        query: ListQuery,
    ) -> Result<Page<SessionRecord>, Rejection> {
        self.answer(self.records()?.sessions(scope, query, self.now())).await
    }

    pub(crate) async fn session(&self, sid: &str) -> Result<Option<SessionRecord>, Rejection> {
        self.answer(self.records()?.session(self.session_key(sid), self.now())).await
    }

    pub(crate) async fn active_users(
        &self,
        scope: Scope,
        limit: u32,
    ) -> Result<Vec<ActiveUser>, Rejection> {
        self.answer(self.records()?.active_users(scope.key(), limit, self.now())).await
    }

    pub(crate) async fn log(
        &self,
        log: LogScope,
        query: ListQuery,
    ) -> Result<Page<LogRow>, Rejection> {
        if let Some(journal) = self.journal.clone() {
            // What has happened before the question is part of the answer.
            let flushed = StoreFuture::new(async move {
                journal.flush().await;
                Ok(())
            });
            self.answer(flushed).await?;
        }
        self.answer(self.records()?.log(log, query)).await
    }
}
