//! The check of a session, and the record of an activity, in one atomic step of the store.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};

use super::{
    entry::{PendingEntry, is_read},
    settings::ActivitySettings,
};
use crate::{
    body::SessionBody,
    clock::Clock,
    maybe_ready::Timed,
    rejection::Rejection,
    request_class::{RequestClass, RequestHead},
    rules::{self, SessionStatus},
    session::{OnStoreFailure, Question, Rejected, Session, SessionCheck, StoreAnswer},
    store::{StoredSession, TouchOutcome},
    time::Timestamp,
};

/// The outcome of a check within a call.
pub(crate) enum Check {
    /// The session is active; with the entry that the response completes, where entries are kept.
    Passed(Option<Box<PendingEntry>>),
    Rejected(Rejection),
    /// The store's answer is on its way.
    Waiting(PendingAnswer),
}

/// A store's answer that is on its way.
pub(crate) enum PendingAnswer {
    Touch(Timed<TouchOutcome>),
    /// The touch is repeated with the attempts of an outage as the token's activity.
    TouchAgain(Timed<TouchOutcome>),
    Get(Timed<StoredSession>),
    /// The claims of the token are stale: the claims source is asked.
    Claims(Question),
    /// The store is asked again after the claims source, and so many questions.
    GetAgain(Timed<StoredSession>, u8),
}

impl PendingAnswer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<StoreAnswer> {
        match self {
            Self::Touch(answer) | Self::TouchAgain(answer) => {
                Pin::new(answer).poll(cx).map(Into::into)
            }
            Self::Get(answer) | Self::GetAgain(answer, _) => {
                Pin::new(answer).poll(cx).map(Into::into)
            }
            Self::Claims(_) => unreachable!("it is no question to the store"),
        }
    }

    /// How long the store has been waited for.
    fn elapsed(&self, clock: &dyn Clock) -> Duration {
        match self {
            Self::Touch(answer) | Self::TouchAgain(answer) => answer.elapsed(clock),
            Self::Get(answer) | Self::GetAgain(answer, _) => answer.elapsed(clock),
            Self::Claims(_) => Duration::ZERO,
        }
    }

    /// How many questions to the claims source came before.
    const fn questions(&self) -> u8 {
        match self {
            Self::GetAgain(_, questions) => *questions,
            _ => 0,
        }
    }
}

impl ActivitySettings {
    /// Checks `session`, and records the activity that `request` is. `is_new`: a layer with the
    /// same enforcement has authenticated the session within this call.
    #[inline(always)]
    pub(crate) fn check<B>(&self, session: &Session, request: &Request<B>, is_new: bool) -> Check {
        let class = session.class(request);
        if class == RequestClass::Public {
            return Check::Passed(self.entry(session, class, request));
        }
        if !is_new {
            session.checked_by(&self.enforcement);
        }
        let mut answer = match self.ask(session, class, is_new) {
            Ok(answer) => answer,
            Err(pending) => return Check::Waiting(pending),
        };
        if let StoreAnswer::Touch(TouchOutcome::Idle(at)) = answer {
            answer = match self.touch_again(session, at) {
                Ok(answer) => answer,
                Err(pending) => return Check::Waiting(pending),
            };
        }
        match self.enforce(session, answer, class == RequestClass::User) {
            Ok(()) => match self.enforcement.question_of(session, 0) {
                None => Check::Passed(self.entry(session, class, request)),
                Some(question) => Check::Waiting(PendingAnswer::Claims(question)),
            },
            Err(rejection) => Check::Rejected(rejection),
        }
    }

    /// Completes a check that waited for the store or the claims source. `session` becomes one with
    /// current claims, if its own are stale.
    pub(super) fn poll_check(
        &self,
        session: &mut Session,
        pending: &mut PendingAnswer,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let clock = &*self.enforcement.clock;
        loop {
            if let PendingAnswer::Claims(question) = pending {
                match ready!(question.poll_session(session, cx)) {
                    Ok(current) => *session = current,
                    Err(rejected) => return Poll::Ready(Err(self.refuse(session, rejected))),
                }
                // It may have ended while the source was asked.
                let answer = self.store.get(session.token().keys());
                *pending = PendingAnswer::GetAgain(session.timed(answer, clock), question.count());
            }
            let mut answer = ready!(pending.poll(cx));
            session.add_waiting_time(pending.elapsed(clock));
            if let PendingAnswer::Touch(_) = pending
                && let StoreAnswer::Touch(TouchOutcome::Idle(at)) = answer
            {
                answer = match self.touch_again(session, at) {
                    Ok(answer) => answer,
                    Err(next) => {
                        *pending = next;
                        continue;
                    }
                };
            }
            let is_activity =
                matches!(pending, PendingAnswer::Touch(_) | PendingAnswer::TouchAgain(_));
            if let Err(rejection) = self.enforce(session, answer, is_activity) {
                return Poll::Ready(Err(rejection));
            }
            // They may have changed while the store, or the source, was asked.
            match self.enforcement.question_of(session, pending.questions()) {
                None => return Poll::Ready(Ok(())),
                Some(question) => *pending = PendingAnswer::Claims(question),
            }
        }
    }

    /// The response in place of the one that `request` would have had.
    #[cold]
    pub(crate) fn reject<ReqBody, ResBody>(
        &self,
        rejection: Rejection,
        request: &Request<ReqBody>,
    ) -> Response<SessionBody<ResBody>> {
        let head = RequestHead::new(request);
        let mut response = rejection.into_response(head, self.rejections.as_deref());
        if let Some(session) = request.extensions().get::<Session>() {
            session.clear_ended_cookie(&rejection, request.headers(), &mut response);
        }
        response
    }

    /// The store's answer, or the future of it. A `User` request is a touch, unless the session has
    /// ended by its token alone; every other one only reads.
    #[inline(always)]
    fn ask(
        &self,
        session: &Session,
        class: RequestClass,
        is_new: bool,
    ) -> Result<StoreAnswer, PendingAnswer> {
        let clock = &*self.enforcement.clock;
        let now = session.now(clock);
        let token = session.token();
        if class == RequestClass::User {
            // Not as a pair: the policy, which may be an owned one, would be moved.
            let policy = self.enforcement.policy(token);
            let is_active = is_new
                || session.was_authenticated_by(&self.enforcement)
                || matches!(
                    rules::status(token.claims(), None, &policy, now),
                    SessionStatus::Active { .. }
                );
            if is_active && policy.records_activity() {
                let touch = self.enforcement.new_touch(token, &policy, now);
                let answer = self.store.touch(token.keys(), touch).try_ready();
                return answer
                    .map(Into::into)
                    .map_err(|pending| PendingAnswer::Touch(session.timed(pending, clock)));
            }
        }
        let answer = self.store.get(token.keys()).try_ready();
        answer.map(Into::into).map_err(|pending| PendingAnswer::Get(session.timed(pending, clock)))
    }

    /// The store says that the session has been idle since `at`: the touch is repeated with a later
    /// activity, if one is assumed.
    #[cold]
    fn touch_again(&self, session: &Session, at: Timestamp) -> Result<StoreAnswer, PendingAnswer> {
        let clock = &*self.enforcement.clock;
        let (token, now) = (session.token(), session.now(clock));
        let Some(touch) = self.enforcement.repeated_touch(token, at, now) else {
            return Ok(StoreAnswer::Touch(TouchOutcome::Idle(at)));
        };
        let answer = self.store.touch(token.keys(), touch).try_ready();
        answer
            .map(Into::into)
            .map_err(|pending| PendingAnswer::TouchAgain(session.timed(pending, clock)))
    }

    #[inline(always)]
    fn enforce(
        &self,
        session: &Session,
        answer: StoreAnswer,
        is_activity: bool,
    ) -> Result<(), Rejection> {
        let now = session.now(&*self.enforcement.clock);
        let check = SessionCheck::new(session.token(), answer, now);
        match self.enforcement.enforce(&check) {
            Ok(last_activity) => {
                session.set_last_activity(last_activity);
                // Its first activity, as far as the store knows.
                if let StoreAnswer::Touch(TouchOutcome::Active(None)) = answer
                    && let Some(adoption) = self.enforcement.adopt(session.token(), now)
                {
                    adoption.detach();
                }
                Ok(())
            }
            Err(rejected) => self.handle(session, rejected, is_activity),
        }
    }

    /// A store that failed ends no session: by default the answer is a 503, or the token is trusted
    /// and not renewed.
    #[cold]
    fn handle(
        &self,
        session: &Session,
        rejected: Rejected,
        is_activity: bool,
    ) -> Result<(), Rejection> {
        session.set_last_activity(rejected.last_activity);
        if is_activity {
            let now = session.now(&*self.enforcement.clock);
            self.enforcement.record_attempt(session.token(), &rejected.rejection, now);
        }
        let is_trusted = self.enforcement.on_failure == OnStoreFailure::TrustToken;
        if is_trusted && rejected.rejection.is_outage() {
            session.forbid_renewal();
            return Ok(());
        }
        Err(self.refuse(session, rejected))
    }

    #[cold]
    fn refuse(&self, session: &Session, rejected: Rejected) -> Rejection {
        if !session.counts_as_absent(&rejected.rejection) {
            let now = session.now(&*self.enforcement.clock);
            rejected.record(session.token(), now, self.enforcement.audit_queue.as_ref());
        }
        rejected.rejection
    }

    /// The activity log entry of a request, where entries are kept: of a `User` request, and of one
    /// that may change something whatever its class, because the client can lower it (P40).
    #[inline(always)]
    pub(super) fn entry<B>(
        &self,
        session: &Session,
        class: RequestClass,
        request: &Request<B>,
    ) -> Option<Box<PendingEntry>> {
        if !self.logs_activity || (class != RequestClass::User && is_read(request.method())) {
            return None;
        }
        let audit_queue = self.enforcement.audit_queue.as_ref()?;
        let now = session.now(&*self.enforcement.clock);
        Some(Box::new(PendingEntry::new(
            self.route_pattern.as_deref(),
            audit_queue,
            session,
            class,
            now,
            request,
        )))
    }
}
