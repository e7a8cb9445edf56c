//! Sign-out: of one session, or of all sessions of a scope.

use super::{About, AuditEvent, Lifecycle};
use crate::{
    rejection::Rejection,
    rules::Timestamp,
    session::Session,
    store::{BulkRevocation, Except, Key, Scope},
};

impl Lifecycle {
    /// Ends the session `sid`, whether or not it is known.
    pub(crate) async fn end(&self, sid: &str) -> Result<(), Rejection> {
        let (now, session) = (self.now(), self.session_key(sid));
        let record = match &self.records {
            Some(records) => self.answer(records.session(session, now)).await?,
            None => None,
        };
        let about = match record {
            Some(record) => About::session(session, &record.scopes),
            None => About { session: Some(session), ..About::default() },
        };
        self.write_end(session, now, &about).await
    }

    /// Ends `session`, of which the caller holds the proof.
    pub(crate) async fn end_session(&self, session: &Session) -> Result<(), Rejection> {
        session.forbid_renewal();
        let token = session.token();
        self.write_end(token.session_key(), self.now(), &About::token(token)).await
    }

    async fn write_end(
        &self,
        session: Key,
        now: Timestamp,
        about: &About,
    ) -> Result<(), Rejection> {
        let until = self.outlived(now);
        if let Some(records) = &self.records {
            let log = AuditEvent::SessionEnded.row(now, about);
            return self.answer(records.revoke(session, until, log)).await.map(drop);
        }
        let store = self.judge.store().expect("the hub has set one");
        self.answer(store.end(session, until)).await?;
        self.note(&AuditEvent::SessionEnded, now, about);
        Ok(())
    }

    /// Ends all sessions of `scope` but `except`; how many were ended.
    pub(crate) async fn end_all(&self, scope: Scope, except: Except) -> Result<u64, Rejection> {
        let now = self.now();
        let mark = now + self.judge.profiles.widest_clock_skew();
        let event = AuditEvent::SessionsRevokedBulk { scope };
        let revocation = BulkRevocation {
            scope,
            except,
            now,
            mark,
            until: self.outlived(mark),
            log: event.row(now, &About::scope(scope)),
        };
        self.answer(self.records()?.revoke_all(revocation)).await
    }
}
