//! Sign-out: of one session, or of all sessions of a scope.

use super::{About, AuditEvent, Lifecycle};
use crate::{
    rejection::Rejection,
    session::Session,
    store::{BulkRevocation, Except, Scope},
};

impl Lifecycle {
    /// Ends the session `sid`, whether or not it is known.
    pub(crate) async fn end(&self, sid: &str) -> Result<(), Rejection> {
        let (now, session) = (self.now(), self.session_key(sid));
        let until = self.outlived(now);
        let Some(records) = &self.records else {
            let store = self.judge.store.as_ref().expect("the hub has set one");
            return self.answer(store.end(session, until)).await;
        };
        let record = self.answer(records.session(session, now)).await?;
        let about = match record {
            Some(record) => About::session(session, &record.scopes),
            None => About { session: Some(session), ..About::default() },
        };
        let log = AuditEvent::SessionEnded.row(now, &about);
        self.answer(records.revoke(session, until, log)).await.map(drop)
    }

    /// Ends `session`, of which the caller holds the proof.
    pub(crate) async fn end_session(&self, session: &Session) -> Result<(), Rejection> {
        session.forbid_renewal();
        let now = self.now();
        let token = session.token();
        let log = AuditEvent::SessionEnded.row(now, &About::token(token));
        let revoked = self.records()?.revoke(token.session_key(), self.outlived(now), log);
        self.answer(revoked).await.map(drop)
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
