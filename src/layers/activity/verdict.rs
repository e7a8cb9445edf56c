//! What becomes of a request: the store's answer, judged by the rules.

use std::borrow::Cow;

use http::{Request, Response};

use super::{OnStoreFailure, Settings, UnknownSessions, visit::Visit};
use crate::{
    body::SessionBody,
    lifecycle::{About, AuditEvent},
    rejection::{Dialect, Rejection, RejectionKind, Speech},
    request_class::RequestClass,
    rules::{self, Limits, Policy, Standing, Timestamp},
    session::Session,
    store::{Peeked, REQUEST_TIME_LIMIT, StoreError, StoreFuture, Timed, Touch, Touched},
};

/// What the store is asked: to record an activity, or only what it knows.
enum Question {
    Touch(StoreFuture<Touched>),
    Peek(StoreFuture<Peeked>),
}

impl Settings {
    #[inline]
    fn policy(&self, session: &Session) -> Cow<'_, Policy> {
        self.judge.policy(session.token())
    }

    /// A session that is over by its token is no activity: it is only asked after, for the reason.
    #[inline]
    fn ask(&self, session: &Session, class: RequestClass, found_alive: bool) -> Question {
        let now = session.now(&*self.judge.clock);
        let claims = session.session_claims();
        let key = session.token().session_key();
        if class == RequestClass::User {
            let policy = self.policy(session);
            let alive = found_alive
                || matches!(rules::standing(claims, None, &policy, now), Standing::Live { .. });
            if alive && policy.records_activity() {
                return Question::Touch(self.store.touch(
                    key,
                    Touch {
                        now,
                        token_activity: claims.proven_activity(now),
                        idle: Limits::of(claims, &policy).idle,
                        known_only: self.unknown == UnknownSessions::Reject,
                    },
                ));
            }
        }
        Question::Peek(self.store.peek(key))
    }

    #[inline]
    pub(super) fn judge_marks(&self, session: &Session) -> Result<(), Rejection> {
        if self.judge.is_revoked(session.token()) {
            return Err(RejectionKind::SessionRevoked.into());
        }
        Ok(())
    }

    #[inline]
    pub(super) fn judge_touch(
        &self,
        session: &Session,
        touched: Result<Touched, StoreError>,
    ) -> Result<(), Rejection> {
        match touched {
            Ok(Touched::Live(before)) => {
                let now = session.now(&*self.judge.clock);
                // The later one, for a clock may have stepped back.
                session.set_last_activity(before.map_or(now, |before| before.max(now)));
                Ok(())
            }
            Ok(Touched::Idle(last_activity)) => self.judge(session, Some(last_activity)),
            Ok(Touched::Unknown | Touched::Ended) => Err(RejectionKind::SessionRevoked.into()),
            Err(error) => self.judge_without_store(session, &error),
        }
    }

    #[inline]
    pub(super) fn judge_peek(
        &self,
        session: &Session,
        peeked: Result<Peeked, StoreError>,
    ) -> Result<(), Rejection> {
        match peeked {
            Ok(Peeked::Ended) => Err(RejectionKind::SessionRevoked.into()),
            Ok(Peeked::LastSeen(at)) => self.judge(session, Some(at)),
            Ok(Peeked::Unknown) if self.unknown == UnknownSessions::Reject => {
                Err(RejectionKind::SessionRevoked.into())
            }
            Ok(Peeked::Unknown) => self.judge(session, None),
            Err(error) => self.judge_without_store(session, &error),
        }
    }

    fn judge(&self, session: &Session, stored: Option<Timestamp>) -> Result<(), Rejection> {
        let now = session.now(&*self.judge.clock);
        let claims = session.session_claims();
        let last_activity = rules::last_activity(claims, stored, now);
        session.set_last_activity(last_activity);
        let policy = self.policy(session);
        let alive = session.was_found_alive_by(&self.judge);
        if alive && !rules::is_idle(claims, last_activity, &policy, now) {
            return Ok(());
        }
        match rules::standing(claims, Some(last_activity), &policy, now) {
            Standing::Live { .. } => Ok(()),
            Standing::Over(limit) => {
                self.judge.seal(session.token(), limit, &policy);
                Err(limit.into())
            }
            Standing::Impossible => Err(RejectionKind::InvalidToken.into()),
        }
    }

    /// An outage signs nobody out: what the token itself says still holds, the rest is by policy.
    fn judge_without_store(&self, session: &Session, error: &StoreError) -> Result<(), Rejection> {
        tracing::warn!(error = error as &dyn std::error::Error, "a session could not be checked");
        let now = session.now(&*self.judge.clock);
        let claims = session.session_claims();
        match (rules::standing(claims, None, &self.policy(session), now), self.on_failure) {
            (Standing::Over(limit), _) => Err(limit.into()),
            (Standing::Impossible, _) => Err(RejectionKind::InvalidToken.into()),
            (Standing::Live { .. }, OnStoreFailure::Reject) => {
                Err(RejectionKind::StoreUnavailable.into())
            }
            (Standing::Live { .. }, OnStoreFailure::TrustToken) => {
                session.forbid_renewal();
                Ok(())
            }
        }
    }

    pub(super) fn reject<B>(
        &self,
        rejection: Rejection,
        session: &Session,
        dialect: Dialect,
    ) -> Response<SessionBody<B>> {
        let now = session.now(&*self.judge.clock);
        let event = AuditEvent::of_rejection(rejection.kind(), now.since(session.last_activity()));
        if let (Some(journal), Some(event)) = (&self.journal, event) {
            journal.note(&event, now, &About::token(session.token()));
        }
        rejection.into_response(&Speech { dialect, body: self.rejections.as_deref() })
    }
}

/// A verdict at hand, or the store's answer on its way to one.
pub(crate) enum Verdict {
    Now(Result<(), Rejection>),
    Touching(Timed<Touched>),
    Peeking(Timed<Peeked>),
}

impl Settings {
    #[inline]
    pub(super) fn verdict(
        &self,
        session: &Session,
        class: RequestClass,
        admitted: bool,
    ) -> Verdict {
        let found_alive = admitted || session.was_found_alive_by(&self.judge);
        let verdict = match self.ask(session, class, found_alive) {
            Question::Touch(answer) => match answer.try_ready() {
                Ok(touched) => self.judge_touch(session, touched),
                Err(answer) => return Verdict::Touching(self.timed(answer)),
            },
            Question::Peek(answer) => match answer.try_ready() {
                Ok(peeked) => self.judge_peek(session, peeked),
                Err(answer) => return Verdict::Peeking(self.timed(answer)),
            },
        };
        // Who has admitted it has looked at the marks a moment ago.
        Verdict::Now(if admitted { verdict } else { self.judge_marks(session).and(verdict) })
    }

    /// The row of a request that counts, where rows are kept.
    #[inline(always)]
    pub(super) fn visit<B>(
        &self,
        session: &Session,
        class: RequestClass,
        request: &Request<B>,
    ) -> Option<Box<Visit>> {
        if !self.logs_visits || class != RequestClass::User {
            return None;
        }
        let journal = self.journal.as_ref()?;
        let now = session.now(&*self.judge.clock);
        Some(Box::new(Visit::begin(journal, session, now, request)))
    }

    fn timed<T>(&self, answer: StoreFuture<T>) -> Timed<T> {
        Timed::new(answer, &*self.judge.clock, REQUEST_TIME_LIMIT)
    }
}
