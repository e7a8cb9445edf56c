//! What becomes of a request: the store's answer, judged by the rules.

use std::borrow::Cow;

use http::{Request, Response};

use super::{OnStoreFailure, UnknownSessions, entry::ActivityEntry, layer::Settings};
use crate::{
    audit::AuditEvent,
    body::SessionBody,
    maybe_ready::{MaybeReady, REQUEST_TIME_LIMIT, StoreError, Timed},
    policy::Policy,
    rejection::{Protocol, Rejection, RejectionFormat, RejectionKind},
    request_class::RequestClass,
    rules::{self, SessionStatus, Timeouts},
    session::Session,
    store::{StoredSession, Touch, TouchOutcome},
    time::Timestamp,
};

/// What the check of a session comes to, within a call.
pub(crate) enum Check {
    /// It lives; with the row that the response completes, where rows are kept.
    Passed(Option<Box<ActivityEntry>>),
    Failed(Rejection),
    /// The store's answer is on its way.
    Asking(Verdict),
}

/// What the store is asked: to record an activity, or only what it knows.
enum Question {
    Touch(MaybeReady<TouchOutcome>),
    Peek(MaybeReady<StoredSession>),
}

impl Settings {
    #[inline]
    fn policy(&self, session: &Session) -> Cow<'_, Policy> {
        self.enforcement.policy(session.token())
    }

    /// A session that is over by its token is no activity: it is only asked after, for the reason.
    #[inline]
    fn ask(&self, session: &Session, class: RequestClass, found_alive: bool) -> Question {
        let now = session.now(&*self.enforcement.clock);
        let claims = session.session_claims();
        let key = session.token().session_key();
        if class == RequestClass::User {
            let policy = self.policy(session);
            let alive = found_alive
                || matches!(
                    rules::status(claims, None, &policy, now),
                    SessionStatus::Active { .. }
                );
            if alive && policy.records_activity() {
                return Question::Touch(self.store.touch(
                    key,
                    Touch {
                        now,
                        token_activity: claims.proven_activity(now),
                        idle: Timeouts::effective(claims, &policy).idle,
                        known_only: self.unknown == UnknownSessions::Reject,
                    },
                ));
            }
        }
        Question::Peek(self.store.get(key))
    }

    #[inline]
    pub(super) fn judge_marks(&self, session: &Session) -> Result<(), Rejection> {
        if self.enforcement.is_revoked(session.token()) {
            return Err(RejectionKind::SessionRevoked.into());
        }
        Ok(())
    }

    #[inline]
    pub(super) fn judge_touch(
        &self,
        session: &Session,
        touched: Result<TouchOutcome, StoreError>,
    ) -> Result<(), Rejection> {
        match touched {
            Ok(TouchOutcome::Active(before)) => {
                let now = session.now(&*self.enforcement.clock);
                // The later one, for a clock may have stepped back.
                session.set_last_activity(before.map_or(now, |before| before.max(now)));
                Ok(())
            }
            Ok(TouchOutcome::Idle(last_activity)) => self.enforcement(session, Some(last_activity)),
            Ok(TouchOutcome::Unknown | TouchOutcome::Ended) => {
                Err(RejectionKind::SessionRevoked.into())
            }
            Err(error) => self.judge_without_store(session, &error),
        }
    }

    #[inline]
    pub(super) fn judge_get(
        &self,
        session: &Session,
        peeked: Result<StoredSession, StoreError>,
    ) -> Result<(), Rejection> {
        match peeked {
            Ok(StoredSession::Ended) => Err(RejectionKind::SessionRevoked.into()),
            Ok(StoredSession::Active(at)) => self.enforcement(session, Some(at)),
            Ok(StoredSession::Unknown) if self.unknown == UnknownSessions::Reject => {
                Err(RejectionKind::SessionRevoked.into())
            }
            Ok(StoredSession::Unknown) => self.enforcement(session, None),
            Err(error) => self.judge_without_store(session, &error),
        }
    }

    fn enforcement(&self, session: &Session, stored: Option<Timestamp>) -> Result<(), Rejection> {
        let now = session.now(&*self.enforcement.clock);
        let claims = session.session_claims();
        let last_activity = rules::last_activity(claims, stored, now);
        session.set_last_activity(last_activity);
        let policy = self.policy(session);
        let alive = session.was_found_alive_by(&self.enforcement);
        if alive && !rules::is_idle(claims, last_activity, &policy, now) {
            return Ok(());
        }
        match rules::status(claims, Some(last_activity), &policy, now) {
            SessionStatus::Active { .. } => Ok(()),
            SessionStatus::Expired(limit) => {
                self.enforcement.seal(session.token(), limit, &policy);
                Err(limit.into())
            }
            SessionStatus::Invalid => Err(RejectionKind::InvalidToken.into()),
        }
    }

    /// An outage signs nobody out: what the token itself says still holds, the rest is by policy.
    fn judge_without_store(&self, session: &Session, error: &StoreError) -> Result<(), Rejection> {
        tracing::warn!(error = error as &dyn std::error::Error, "a session could not be checked");
        let now = session.now(&*self.enforcement.clock);
        let claims = session.session_claims();
        match (rules::status(claims, None, &self.policy(session), now), self.on_failure) {
            (SessionStatus::Expired(limit), _) => Err(limit.into()),
            (SessionStatus::Invalid, _) => Err(RejectionKind::InvalidToken.into()),
            (SessionStatus::Active { .. }, OnStoreFailure::Reject) => {
                Err(RejectionKind::StoreUnavailable.into())
            }
            (SessionStatus::Active { .. }, OnStoreFailure::TrustToken) => {
                session.forbid_renewal();
                Ok(())
            }
        }
    }

    pub(super) fn reject<B>(
        &self,
        rejection: Rejection,
        session: &Session,
        protocol: Protocol,
    ) -> Response<SessionBody<B>> {
        let now = session.now(&*self.enforcement.clock);
        let event =
            AuditEvent::from_rejection(rejection.kind(), now.since(session.last_activity()));
        if let (Some(audit_queue), Some(event)) = (&self.audit_queue, event) {
            audit_queue.note(&event, now, &session.token().audit_subject());
        }
        rejection.into_response(&RejectionFormat { protocol, body: self.rejections.as_deref() })
    }
}

/// A verdict at hand, or the store's answer on its way to one.
pub(crate) enum Verdict {
    Now(Result<(), Rejection>),
    Touching(Timed<TouchOutcome>),
    Peeking(Timed<StoredSession>),
}

impl Settings {
    #[inline]
    pub(super) fn verdict(
        &self,
        session: &Session,
        class: RequestClass,
        admitted: bool,
    ) -> Verdict {
        let found_alive = admitted || session.was_found_alive_by(&self.enforcement);
        let verdict = match self.ask(session, class, found_alive) {
            Question::Touch(answer) => match answer.try_ready() {
                Ok(touched) => self.judge_touch(session, touched),
                Err(answer) => return Verdict::Touching(self.timed(answer)),
            },
            Question::Peek(answer) => match answer.try_ready() {
                Ok(peeked) => self.judge_get(session, peeked),
                Err(answer) => return Verdict::Peeking(self.timed(answer)),
            },
        };
        // Who has admitted it has looked at the marks a moment ago.
        Verdict::Now(if admitted { verdict } else { self.judge_marks(session).and(verdict) })
    }

    /// The row of a request that counts, where rows are kept.
    #[inline(always)]
    pub(super) fn entry<B>(
        &self,
        session: &Session,
        class: RequestClass,
        request: &Request<B>,
    ) -> Option<Box<ActivityEntry>> {
        if !self.logs_activity || class != RequestClass::User {
            return None;
        }
        let audit_queue = self.audit_queue.as_ref()?;
        let now = session.now(&*self.enforcement.clock);
        Some(Box::new(ActivityEntry::begin(audit_queue, session, now, request)))
    }

    fn timed<T>(&self, answer: MaybeReady<T>) -> Timed<T> {
        Timed::new(answer, &*self.enforcement.clock, REQUEST_TIME_LIMIT)
    }
}
