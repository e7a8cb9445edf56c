//! Whether a request is admitted, and with which session.

use std::sync::Arc;

use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

use super::{
    AuthenticateLayer,
    future::{Asking, Dismissal},
    layer::Settings,
};
use crate::{
    audit::AuditEvent,
    body::SessionBody,
    maybe_ready::{REQUEST_TIME_LIMIT, Timed},
    rejection::{Protocol, Rejection, RejectionFormat, RejectionKind},
    request_class::{RequestClass, RequestHeaders},
    rules::{self, ExpiryReason, SessionStatus},
    session::Session,
    store::StoredSession,
    time::Timestamp,
    token::VerifiedToken,
    transport::{Presented, mark_sensitive, read},
};

/// Why a request is not let in.
enum Refusal {
    Rejected(Rejection),
    /// Its session is over; the store is being asked why.
    Asking(Question),
}

/// A store that is being asked why a session is over.
pub(super) struct Question {
    pub(super) answer: Timed<StoredSession>,
    pub(super) ended: Ended,
}

/// A session that its token alone knows to be over.
pub(super) struct Ended {
    token: Arc<VerifiedToken>,
    limit: ExpiryReason,
    now: Timestamp,
}

impl Settings {
    /// The session whose token the request presents, if it presents one.
    #[inline(always)]
    fn authenticate(
        &self,
        headers: &HeaderMap,
        noted: &RequestHeaders<'_>,
    ) -> Result<Option<Session>, Refusal> {
        let (token, origin) = match read(&self.transports, noted.authorization, headers) {
            Presented::Nothing if self.optional => return Ok(None),
            Presented::Nothing => {
                return Err(Refusal::Rejected(RejectionKind::MissingToken.into()));
            }
            Presented::Unreadable => {
                return Err(self.reject(
                    RejectionKind::InvalidToken,
                    None,
                    self.enforcement.clock.now(),
                ));
            }
            Presented::Token(token, origin) => (token, origin),
        };
        let now = self.enforcement.clock.now();
        let Ok(token) = self.verifier.verify(token, now) else {
            return Err(self.reject(RejectionKind::InvalidToken, None, now));
        };
        if self.enforcement.is_revoked(&token) {
            return Err(self.reject(RejectionKind::SessionRevoked, Some(&token), now));
        }
        match rules::status(token.claims(), None, &self.enforcement.policy(&token), now) {
            SessionStatus::Invalid => {
                Err(self.reject(RejectionKind::InvalidToken, Some(&token), now))
            }
            SessionStatus::Expired(limit) => Err(self.why(Ended { token, limit, now })),
            SessionStatus::Active { .. } => {
                let session = Session::new(token, origin, Some(Arc::clone(&self.enforcement)));
                session.set_now(now);
                Ok(Some(session))
            }
        }
    }

    fn reject(
        &self,
        kind: RejectionKind,
        token: Option<&VerifiedToken>,
        now: Timestamp,
    ) -> Refusal {
        self.note(kind, token, now, now);
        Refusal::Rejected(kind.into())
    }

    fn note(
        &self,
        kind: RejectionKind,
        token: Option<&VerifiedToken>,
        last_activity: Timestamp,
        now: Timestamp,
    ) {
        let Some(audit_queue) = &self.audit_queue else { return };
        let Some(token) = token else {
            // What nobody has signed is about nobody: whoever sends it must not fill the log.
            tracing::debug!(code = kind.code(), "a token was rejected");
            return;
        };
        if let Some(event) = AuditEvent::from_rejection(kind, now.since(last_activity)) {
            audit_queue.note(&event, now, &token.audit_subject());
        }
    }

    /// Asks the store, if there is one, why a session is over.
    fn why(&self, ended: Ended) -> Refusal {
        let Some(store) = self.enforcement.store() else {
            return Refusal::Rejected(self.name(&ended, None));
        };
        match store.get(ended.token.session_key()).try_ready() {
            Ok(answer) => Refusal::Rejected(self.name(&ended, answer.ok())),
            Err(pending) => {
                let answer = Timed::new(pending, &*self.enforcement.clock, REQUEST_TIME_LIMIT);
                Refusal::Asking(Question { answer, ended })
            }
        }
    }

    /// The reason for a session's end, by what the store answered; without an answer the last
    /// activity is known only where the token says all there is to say about it.
    pub(super) fn name(&self, ended: &Ended, answer: Option<StoredSession>) -> Rejection {
        let claims = ended.token.claims();
        let policy = self.enforcement.policy(&ended.token);
        let stored = match answer {
            Some(StoredSession::Active(at)) => Some(at),
            _ => None,
        };
        let last_activity = rules::last_activity(claims, stored, ended.now);
        let kind = match answer {
            Some(StoredSession::Ended) => RejectionKind::SessionRevoked,
            None if policy.records_activity() => ended.limit.into(),
            _ => match rules::status(claims, Some(last_activity), &policy, ended.now) {
                SessionStatus::Expired(limit) => {
                    self.enforcement.seal(&ended.token, limit, &policy);
                    limit.into()
                }
                _ => ended.limit.into(),
            },
        };
        self.note(kind, Some(&ended.token), last_activity, ended.now);
        kind.into()
    }

    pub(super) fn speech(&self, protocol: Protocol) -> RejectionFormat<'_> {
        RejectionFormat { protocol, body: self.rejections.as_deref() }
    }
}

impl AuthenticateLayer {
    /// The session of `request`; none where its class asks for none, or where it presents no token
    /// and need not.
    #[inline(always)]
    pub(crate) fn admit<ReqBody, ResBody>(
        &self,
        request: &Request<ReqBody>,
        class: RequestClass,
        noted: &RequestHeaders<'_>,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        if class == RequestClass::Public {
            return Ok(None);
        }
        if self.settings.allow_preflight && is_preflight(request) {
            let mut response = Response::new(SessionBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Err(Dismissal::Answer(Box::new(response)));
        }
        match self.settings.authenticate(request.headers(), noted) {
            Ok(session) => {
                if let Some(session) = &session {
                    session.set_class(class.lowered(request.method(), || noted.says_background()));
                }
                Ok(session)
            }
            Err(refusal) => Err(self.dismiss(refusal, request.headers())),
        }
    }

    fn dismiss<ResBody>(&self, refusal: Refusal, headers: &HeaderMap) -> Dismissal<ResBody> {
        let protocol = Protocol::from_headers(headers);
        match refusal {
            Refusal::Rejected(rejection) => {
                let speech = self.settings.speech(protocol);
                Dismissal::Answer(Box::new(rejection.into_response(&speech)))
            }
            Refusal::Asking(question) => {
                let settings = Arc::clone(&self.settings);
                Dismissal::Asking(Box::new(Asking { question, protocol, settings }))
            }
        }
    }

    /// Puts `session` into the extensions of `request`, and keeps its token from what logs headers
    /// further in.
    #[inline(always)]
    pub(crate) fn insert<ReqBody>(&self, session: Session, request: &mut Request<ReqBody>) {
        mark_sensitive(&self.settings.transports, request.headers_mut());
        request.extensions_mut().insert(session);
    }
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
