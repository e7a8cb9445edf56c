//! Whether a request is admitted, and with which session.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

use super::settings::AuthenticateSettings;
use crate::{
    body::SessionBody,
    maybe_ready::{REQUEST_TIME_LIMIT, Timed},
    rejection::{Protocol, Rejection, RejectionFormat, RejectionKind},
    request_class::{RequestClass, RequestHead, RequestHeaders},
    session::{Session, SessionCheck, StoreAnswer, trace_rejection},
    store::StoredSession,
    time::Timestamp,
    token::VerifiedToken,
};

/// What a request receives that is not admitted. Rare: the boxes keep every other request small.
pub(crate) enum Dismissal<B> {
    Response(Box<Response<SessionBody<B>>>),
    /// The token has expired, and the store is asked whether the session ended earlier.
    Asking(Box<Asking>),
}

/// Why a request is not admitted.
enum Refusal {
    Rejected(Rejection),
    Asking(ExpiredToken, Timed<StoredSession>),
}

/// A token whose own deadlines have passed.
struct ExpiredToken {
    token: Arc<VerifiedToken>,
    now: Timestamp,
}

/// A store that is asked about the session of an expired token.
pub(crate) struct Asking {
    expired: ExpiredToken,
    answer: Timed<StoredSession>,
    protocol: Protocol,
    settings: Arc<AuthenticateSettings>,
}

impl Asking {
    pub(super) fn poll_response<B>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Response<SessionBody<B>>> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let rejection = self.settings.reject_expired(&self.expired, answer.into());
        Poll::Ready(rejection.into_response(&self.settings.format(self.protocol.clone())))
    }
}

impl AuthenticateSettings {
    /// The session whose token the request presents, if it presents one.
    #[inline(always)]
    fn authenticate(&self, head: RequestHead<'_>) -> Result<Option<Session>, Refusal> {
        let (token, origin) = match self.transports.read(head) {
            Ok(Some(presented)) => presented,
            Ok(None) if self.optional => return Ok(None),
            Ok(None) => return Err(reject_unverified(RejectionKind::MissingToken.into())),
            Err(reason) => return Err(reject_unverified(Rejection::invalid_token(reason))),
        };
        let now = self.enforcement.clock.now();
        let token = self
            .verifier
            .verify(token, now)
            .map_err(|invalid| reject_unverified(Rejection::invalid_token(invalid.reason())))?;
        let check = SessionCheck::new(&token, StoreAnswer::NotAsked, now);
        match self.enforcement.enforce(&check) {
            Ok(_) => {
                let session = Session::new(token, origin, Some(Arc::clone(&self.enforcement)));
                session.set_now(now);
                Ok(Some(session))
            }
            Err(rejected) if rejected.rejection.kind().is_expiry() => {
                Err(self.ask(ExpiredToken { token, now }))
            }
            Err(rejected) => {
                rejected.record(&token, now, self.enforcement.audit_queue.as_ref());
                Err(Refusal::Rejected(rejected.rejection))
            }
        }
    }

    /// Asks the store, if there is one, whether the session of an expired token ended earlier.
    fn ask(&self, expired: ExpiredToken) -> Refusal {
        let Some(store) = self.enforcement.store() else {
            return Refusal::Rejected(self.reject_expired(&expired, StoreAnswer::Failed));
        };
        match store.get(expired.token.session_key()).try_ready() {
            Ok(answer) => Refusal::Rejected(self.reject_expired(&expired, answer.into())),
            Err(pending) => {
                let answer = Timed::new(pending, &*self.enforcement.clock, REQUEST_TIME_LIMIT);
                Refusal::Asking(expired, answer)
            }
        }
    }

    fn reject_expired(&self, expired: &ExpiredToken, answer: StoreAnswer) -> Rejection {
        let ExpiredToken { token, now } = expired;
        match self.enforcement.enforce(&SessionCheck::new(token, answer, *now)) {
            Err(rejected) => {
                rejected.record(token, *now, self.enforcement.audit_queue.as_ref());
                rejected.rejection
            }
            // Its deadlines have passed at the same instant, and a policy was lengthened since.
            Ok(_) => RejectionKind::TokenExpired.into(),
        }
    }

    fn format(&self, protocol: Protocol) -> RejectionFormat<'_> {
        RejectionFormat { protocol, body: self.rejections.as_deref() }
    }
}

/// What nobody has signed is no audit event: whoever sends it must not fill the log.
fn reject_unverified(rejection: Rejection) -> Refusal {
    trace_rejection(&rejection);
    Refusal::Rejected(rejection)
}

impl AuthenticateSettings {
    /// The session of `request`; none where its class needs none, or where it presents no token and
    /// the layer is optional.
    #[inline(always)]
    pub(crate) fn admit<ReqBody, ResBody>(
        self: &Arc<Self>,
        request: &Request<ReqBody>,
        class: RequestClass,
        request_headers: &RequestHeaders<'_>,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        if class == RequestClass::Public {
            return Ok(None);
        }
        if self.allow_preflight && is_preflight(request) {
            let mut response = Response::new(SessionBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Err(Dismissal::Response(Box::new(response)));
        }
        match self.authenticate(RequestHead::with_headers(request, request_headers)) {
            Ok(session) => {
                if let Some(session) = &session {
                    tracing::trace!("request authenticated");
                    let says_background = || request_headers.says_background();
                    session.set_class(class.lowered(request.method(), says_background));
                }
                Ok(session)
            }
            Err(refusal) => Err(self.dismiss(refusal, request.headers())),
        }
    }

    #[cold]
    fn dismiss<ResBody>(
        self: &Arc<Self>,
        refusal: Refusal,
        headers: &HeaderMap,
    ) -> Dismissal<ResBody> {
        let protocol = Protocol::from_headers(headers);
        match refusal {
            Refusal::Rejected(rejection) => {
                let response = rejection.into_response(&self.format(protocol));
                Dismissal::Response(Box::new(response))
            }
            Refusal::Asking(expired, answer) => {
                let settings = Arc::clone(self);
                Dismissal::Asking(Box::new(Asking { expired, answer, protocol, settings }))
            }
        }
    }

    /// Puts `session` into the extensions of `request`, and marks the header of its token
    /// sensitive, so that inner layers do not log it.
    #[inline(always)]
    pub(crate) fn insert<ReqBody>(&self, session: Session, request: &mut Request<ReqBody>) {
        self.transports.mark_sensitive(request.headers_mut());
        request.extensions_mut().insert(session);
    }
}

fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
