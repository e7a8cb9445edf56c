//! Waits for the end of a session: what a stream, a WebSocket and a task have in common.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    Enforcement, OnStoreFailure, Rejected, Session, SessionCheck, StoreAnswer,
    kept_token::KeptToken, trace_rejection,
};
use crate::{
    clock::Sleep,
    identity::StoreKey,
    maybe_ready::{REQUEST_TIME_LIMIT, Timed},
    rejection::{Rejection, RejectionKind},
    rules::{Deadlines, Timeouts, TokenTimes},
    store::{OpenSession, OpenStream, Renewed, StoredSession},
    time::Timestamp,
    token::VerifiedToken,
};

/// How long a store may fail before a stream ends whose session cannot be checked.
const OUTAGE_LIMIT: Duration = Duration::from_secs(30);

/// How long a new stream waits before it asks a store which has no answer at hand: most are over by then.
const FIRST_QUESTION_AFTER: Duration = Duration::from_millis(250);

/// How long after a failure the store is asked again; and how often it is asked if it has nothing that
/// tells of revocations.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Waits for the end of a session.
///
/// It asks the store at the deadline that it presumes, and whenever the store tells that the session
/// has changed: so activity on any node moves the deadline, and nothing is sent for it (P36).
pub(crate) struct EndWatch {
    enforcement: Arc<Enforcement>,
    stream: OpenStream,
    token: KeptToken,
    step: Step,
}

enum Step {
    /// It was not polled yet.
    New,
    /// The store is to be asked.
    Due,
    /// Until the presumed deadline.
    Sleeping(Sleep),
    Asking(Box<Asking>),
    /// The store has failed.
    Retrying(Box<Retrying>),
}

struct Asking {
    answer: Timed<StoredSession>,
    /// Since when the store has failed.
    failed_since: Option<Timestamp>,
}

struct Retrying {
    sleep: Sleep,
    failed_since: Timestamp,
}

/// What the future of a session looks like.
pub(crate) enum Outlook {
    /// It ends at this instant, unless there is activity.
    Ending(Timestamp),
    Ended(Rejection),
}

/// The status of the session of an open stream.
enum OpenStatus {
    Active {
        until: Timestamp,
    },
    /// The store has failed.
    Unanswered,
    Ended(Rejected),
}

impl EndWatch {
    /// Waits for the end of `session`. `None` if no layer has checked it: it has no policy.
    pub(crate) fn new(session: &Session) -> Option<Self> {
        let enforcement = Arc::clone(session.shared_enforcement()?);
        let token = session.token();
        let (key, scopes) = (token.session_key(), *token.scopes());
        let epoch = enforcement.epoch(token);
        let stream = match &enforcement.revocations {
            Some(revocations) => revocations.open_stream(key, scopes, epoch),
            None => OpenStream::new(Arc::new(OpenSession::new(key, scopes, epoch))),
        };
        let mut token = KeptToken::new(token.claims(), &enforcement.profiles);
        if let Some(renewed) = session.0.renewed.get() {
            token.renew(renewed);
        }
        let mut watch = Self { enforcement, stream, token, step: Step::New };
        // One that was minted since, for another response.
        watch.take_renewed();
        Some(watch)
    }

    /// Whether the session may have ended: the next poll asks the store.
    #[inline]
    pub(super) fn is_changed(&self) -> bool {
        self.stream.is_changed()
    }

    pub(super) const fn enforcement(&self) -> &Arc<Enforcement> {
        &self.enforcement
    }

    /// Returns the payload of the newest token of the session, if one was minted here while it was
    /// [followed](Self::follow).
    pub(super) fn renewed(&self) -> Option<Arc<str>> {
        self.stream.renewed()?.payload
    }

    pub(super) fn follow(&self, follows: bool) {
        self.stream.follow(follows);
    }

    /// Completes when the session has ended, or `lead` before it is expected to. Not to be polled again
    /// once the session has ended.
    pub(crate) fn poll(&mut self, lead: Duration, cx: &mut Context<'_>) -> Poll<Outlook> {
        // Before the change is looked for: one in between must wake it.
        self.stream.register(cx.waker());
        if self.stream.take_change() {
            self.take_renewed();
            self.step = Step::Due;
        }
        loop {
            let outlook = match &mut self.step {
                Step::New | Step::Due => self.ask(None, lead),
                Step::Sleeping(sleep) => {
                    ready!(sleep.as_mut().poll(cx));
                    self.ask(None, lead)
                }
                Step::Retrying(retrying) => {
                    ready!(retrying.sleep.as_mut().poll(cx));
                    let failed_since = retrying.failed_since;
                    self.ask(Some(failed_since), lead)
                }
                Step::Asking(asking) => {
                    let answer = ready!(Pin::new(&mut asking.answer).poll(cx)).into();
                    let failed_since = asking.failed_since;
                    self.decide(answer, failed_since, lead)
                }
            };
            if let Some(outlook) = outlook {
                return Poll::Ready(outlook);
            }
        }
    }

    /// Asks the store; where it has no answer at hand, a new stream waits first.
    fn ask(&mut self, failed_since: Option<Timestamp>, lead: Duration) -> Option<Outlook> {
        let Some(store) = self.enforcement.store() else {
            return self.decide(StoreAnswer::NotAsked, None, lead);
        };
        match store.get(self.stream.keys()).try_ready() {
            Ok(answer) => self.decide(answer.into(), failed_since, lead),
            Err(pending) => {
                let clock = &*self.enforcement.clock;
                self.step = if matches!(self.step, Step::New) {
                    Step::Sleeping(clock.sleep_until(clock.now() + FIRST_QUESTION_AFTER))
                } else {
                    let answer = Timed::new(pending, clock, REQUEST_TIME_LIMIT);
                    Step::Asking(Box::new(Asking { answer, failed_since }))
                };
                None
            }
        }
    }

    fn decide(
        &mut self,
        answer: StoreAnswer,
        failed_since: Option<Timestamp>,
        lead: Duration,
    ) -> Option<Outlook> {
        let Self { enforcement, stream, .. } = self;
        let now = enforcement.clock.now();
        let token = self.token.token(stream, &enforcement.profiles);
        match enforcement.open_status(&token, answer, now) {
            OpenStatus::Active { until } if until <= now + lead => {
                self.step = Step::Due;
                Some(Outlook::Ending(until))
            }
            OpenStatus::Active { mut until } => {
                until = until - lead;
                if enforcement.store().is_some() && enforcement.revocations.is_none() {
                    until = until.min(now + RETRY_INTERVAL);
                }
                self.step = Step::Sleeping(enforcement.clock.sleep_until(until));
                None
            }
            OpenStatus::Unanswered => {
                let failed_since = failed_since.unwrap_or(now);
                if now >= enforcement.outage_limit(&token, failed_since) {
                    let rejection = RejectionKind::StoreUnavailable.into();
                    trace_rejection(&rejection);
                    return Some(Outlook::Ended(rejection));
                }
                let sleep = enforcement.clock.sleep_until(now + RETRY_INTERVAL);
                self.step = Step::Retrying(Box::new(Retrying { sleep, failed_since }));
                None
            }
            OpenStatus::Ended(rejected) => {
                if rejected.rejection.kind().is_expiry() {
                    rejected.record(&token, now, enforcement.audit_queue.as_ref());
                } else {
                    // The revocation has an audit event of its own.
                    trace_rejection(&rejected.rejection);
                }
                Some(Outlook::Ended(rejected.rejection))
            }
        }
    }

    /// Takes the times of a token that was minted meanwhile: they count where no store knows the
    /// session.
    fn take_renewed(&mut self) {
        if let Some(renewed) = self.stream.renewed() {
            self.token.renew(&renewed);
        }
    }
}

impl Drop for EndWatch {
    fn drop(&mut self) {
        self.stream.close(self.enforcement.revocations.as_deref());
    }
}

impl Enforcement {
    /// Tells the open streams of a session of the token that was minted for it.
    pub(crate) fn announce_renewal(
        &self,
        session: StoreKey,
        TokenTimes { iat, exp }: TokenTimes,
        activity: Timestamp,
        payload: &str,
    ) {
        if let Some(revocations) = &self.revocations {
            let renewed = Renewed { iat, exp, activity, payload: None };
            revocations.announce_renewal(&session, renewed, payload);
        }
    }

    /// The status of the session of an open stream. Its token ends it only where no store knows it.
    fn open_status(
        &self,
        token: &VerifiedToken,
        answer: StoreAnswer,
        now: Timestamp,
    ) -> OpenStatus {
        let ends_with_token = answer.is_unknown();
        let check = SessionCheck { ends_with_token, ..SessionCheck::new(token, answer, now) };
        let enforced = self.enforce(&check);
        let policy = self.policy(token);
        let is_idle_checked = !matches!(answer, StoreAnswer::NotAsked);
        let last_activity = match &enforced {
            Ok(last_activity) => *last_activity,
            Err(rejected) => rejected.last_activity,
        };
        let mut deadlines =
            Deadlines::new(token.claims(), is_idle_checked.then_some(last_activity), &policy);
        if !ends_with_token {
            deadlines.token = Timestamp::MAX;
        }
        if let (Some(idle), Some(store)) = (&mut deadlines.idle, self.store()) {
            // An activity on another node may be on its way to the store.
            let timeout = Timeouts::effective(token.claims(), &policy).idle;
            *idle = *idle + store.activity_delay(timeout);
        }
        let (_, until) = deadlines.earliest(policy.leeway());
        match enforced {
            Ok(_) => OpenStatus::Active { until },
            Err(rejected) => match rejected.rejection.kind() {
                RejectionKind::StoreUnavailable => OpenStatus::Unanswered,
                RejectionKind::SessionExpiredIdle if now < until => OpenStatus::Active { until },
                _ => OpenStatus::Ended(rejected),
            },
        }
    }

    /// Until when a stream whose session cannot be checked goes on.
    fn outage_limit(&self, token: &VerifiedToken, failed_since: Timestamp) -> Timestamp {
        let trusted_until = match self.on_failure {
            OnStoreFailure::Reject => Timestamp::EPOCH,
            OnStoreFailure::TrustToken => token.claims().exp,
        };
        failed_since.max(trusted_until) + OUTAGE_LIMIT
    }
}
