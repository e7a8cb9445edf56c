//! Whether a request is admitted, and with which session.

use std::sync::Arc;

use base64_simd::URL_SAFE_NO_PAD;
use http::{
    Method, Request, Response, StatusCode,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

use super::{
    dismissal::{Asking, Awaited, Dismissal, ExpiredToken, Refusal, reject_unverified},
    new_keys::{KeyFetch, Unverified},
    settings::AuthenticateSettings,
};
use crate::{
    body::SessionBody,
    maybe_ready::{REQUEST_TIME_LIMIT, Timed},
    rejection::{InvalidTokenReason, Rejection, RejectionKind, bad_request},
    request_class::{RequestClass, RequestHead, RequestHeaders},
    session::{Session, SessionCheck, StoreAnswer, may_clear_cookie},
    time::Timestamp,
    token::VerifiedToken,
    transport::{
        Presented, ResponseEdits, TokenOrigin, offers_only_a_token, presented_ticket,
        remove_ticket, remove_token,
    },
};

/// The browser would fail the handshake: its response must select a subprotocol, and never the token.
const ONLY_A_TOKEN: &str =
    "Offer a second subprotocol beside the token: the response must select one.";

impl AuthenticateSettings {
    /// The session whose token the request presents after `skipped` transports, if it presents one.
    /// `fetch`: whether the keys of its issuer were fetched.
    #[inline(always)]
    fn authenticate(
        &self,
        head: RequestHead<'_>,
        skipped: usize,
        fetch: KeyFetch,
    ) -> Result<Option<Session>, Refusal> {
        let clock = &*self.enforcement.clock;
        let (token, origin, now) = match self.transports.read(head, skipped) {
            Presented::One(bytes, origin) => {
                let now = clock.now();
                match self.verify(bytes, now, fetch) {
                    Ok(token) => (token, origin, now),
                    Err(unverified) => return Err(self.refuse_unverified(unverified, origin)),
                }
            }
            Presented::Several(tokens, origin) => {
                let now = clock.now();
                match self.choose(tokens, now, fetch) {
                    Ok(token) => (token, origin, now),
                    Err(unverified) => return Err(self.refuse_unverified(unverified, origin)),
                }
            }
            Presented::Base64Url(encoded, origin) => {
                let now = clock.now();
                match self.verify_encoded(encoded, now, fetch) {
                    Ok(token) => (token, origin, now),
                    Err(unverified) => return Err(self.refuse_unverified(unverified, origin)),
                }
            }
            Presented::Unreadable(reason, origin) => return Err(self.refuse(reason, origin)),
            Presented::None if self.optional => return Ok(None),
            Presented::None => return Err(reject_unverified(RejectionKind::MissingToken.into())),
        };
        let check = SessionCheck::new(&token, StoreAnswer::NotAsked, now);
        match self.enforcement.enforce(&check) {
            Ok(_) => {
                let enforcement = Some(Arc::clone(&self.enforcement));
                let session = Session::new(token, origin, enforcement, self.may_ignore(origin));
                session.set_now(now);
                Ok(Some(session))
            }
            Err(_) if self.may_ignore(origin) => Err(Refusal::Ignored),
            Err(rejected) if rejected.rejection.kind().is_expiry() => {
                Err(self.ask(ExpiredToken { token, origin, now }))
            }
            Err(rejected) => {
                rejected.record(&token, now, self.enforcement.audit_queue.as_ref());
                Err(Refusal::Rejected(rejected.rejection))
            }
        }
    }

    #[cold]
    fn verify_encoded(
        &self,
        encoded: &[u8],
        now: Timestamp,
        fetch: KeyFetch,
    ) -> Result<Arc<VerifiedToken>, Unverified> {
        self.verify(&decode(encoded).map_err(Unverified::Refused)?, now, fetch)
    }

    /// The session of the first transport whose token does not count as absent.
    fn authenticate_without_ignored(
        &self,
        head: RequestHead<'_>,
        fetch: KeyFetch,
    ) -> Result<Option<Session>, Refusal> {
        let mut skipped = 0;
        while let Some(ignored) = self.transports.finder(head, skipped) {
            skipped = ignored + 1;
            match self.authenticate(head, skipped, fetch) {
                Err(Refusal::Ignored) => {}
                authenticated => return authenticated,
            }
        }
        Ok(None)
    }

    /// Whether a token with this origin counts as absent if it is refused.
    fn may_ignore(&self, origin: TokenOrigin) -> bool {
        self.optional && origin == TokenOrigin::Cookie
    }

    #[cold]
    fn refuse(&self, reason: InvalidTokenReason, origin: TokenOrigin) -> Refusal {
        if self.may_ignore(origin) {
            return Refusal::Ignored;
        }
        reject_unverified(Rejection::invalid_token(reason))
    }

    #[cold]
    fn refuse_unverified(&self, unverified: Unverified, origin: TokenOrigin) -> Refusal {
        match unverified {
            Unverified::Refused(reason) => self.refuse(reason, origin),
            Unverified::Unavailable => reject_unverified(RejectionKind::StoreUnavailable.into()),
            Unverified::Pending(keys) => {
                let clock = &*self.enforcement.clock;
                Refusal::Waiting(Awaited::Keys(Timed::new(keys, clock, REQUEST_TIME_LIMIT)))
            }
        }
    }

    /// Asks the store, if there is one, whether the session of an expired token ended earlier.
    pub(super) fn ask(&self, expired: ExpiredToken) -> Refusal {
        let Some(store) = self.enforcement.store() else {
            let rejection = self.reject_expired(&expired, StoreAnswer::Failed);
            return Refusal::Expired(rejection, expired);
        };
        match store.get(expired.token.keys()).try_ready() {
            Ok(answer) => {
                let rejection = self.reject_expired(&expired, answer.into());
                Refusal::Expired(rejection, expired)
            }
            Err(pending) => {
                let answer = Timed::new(pending, &*self.enforcement.clock, REQUEST_TIME_LIMIT);
                Refusal::Asking(expired, answer)
            }
        }
    }

    pub(super) fn reject_expired(&self, expired: &ExpiredToken, answer: StoreAnswer) -> Rejection {
        let ExpiredToken { token, now, .. } = expired;
        match self.enforcement.enforce(&SessionCheck::new(token, answer, *now)) {
            Err(rejected) => {
                rejected.record(token, *now, self.enforcement.audit_queue.as_ref());
                rejected.rejection
            }
            // Its deadlines have passed at the same instant, and a policy was lengthened since.
            Ok(_) => RejectionKind::TokenExpired.into(),
        }
    }

    fn respond<B>(&self, rejection: Rejection, head: RequestHead<'_>) -> Response<SessionBody<B>> {
        rejection.into_response(head, self.rejections.as_deref())
    }

    /// The response to an authentic token whose session has expired.
    pub(super) fn respond_expired<B>(
        &self,
        rejection: Rejection,
        expired: &ExpiredToken,
        head: RequestHead<'_>,
    ) -> Response<SessionBody<B>> {
        let mut response = self.respond(rejection, head);
        if !expired.token.is_foreign() && may_clear_cookie(expired.origin, head.headers()) {
            self.enforcement.clear_ended_cookie(&rejection, &mut response);
        }
        response
    }
}

/// The token in `encoded`, base64url without padding.
pub(super) fn decode(encoded: &[u8]) -> Result<Vec<u8>, InvalidTokenReason> {
    URL_SAFE_NO_PAD.decode_to_vec(encoded).map_err(|_| InvalidTokenReason::Malformed)
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
        self.admit_or_fetch(request, class, request_headers, KeyFetch::Allowed)
    }

    /// As [`admit`](Self::admit), after the keys of the token's issuer were fetched, or not.
    #[cold]
    pub(super) fn admit_after_fetch<ReqBody, ResBody>(
        self: &Arc<Self>,
        request: &Request<ReqBody>,
        class: RequestClass,
        request_headers: &RequestHeaders<'_>,
        fetch: KeyFetch,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        self.admit_or_fetch(request, class, request_headers, fetch)
    }

    #[inline(always)]
    fn admit_or_fetch<ReqBody, ResBody>(
        self: &Arc<Self>,
        request: &Request<ReqBody>,
        class: RequestClass,
        request_headers: &RequestHeaders<'_>,
        fetch: KeyFetch,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        if class == RequestClass::Public {
            return Ok(None);
        }
        if self.allow_preflight && is_preflight(request) {
            let mut response = Response::new(SessionBody::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Err(Dismissal::Response(Box::new(response)));
        }
        let head = RequestHead::with_headers(request, request_headers);
        if self.transports.reads_websocket_protocol() && offers_only_a_token(head) {
            return Err(Dismissal::Response(Box::new(bad_request(ONLY_A_TOKEN))));
        }
        if let Some(store) = &self.tickets
            && let Some(ticket) = presented_ticket(request.uri())
        {
            let authenticated = self.authenticate_by_ticket(head, ticket, &**store);
            return match authenticated {
                Ok(session) => Ok(Some(session)),
                Err(refusal) => Err(self.dismiss_request(refusal, request)),
            };
        }
        match self.authenticate(head, 0, fetch) {
            Ok(session) => {
                if let Some(session) = &session {
                    tracing::trace!("request authenticated");
                    let says_background = || request_headers.says_background();
                    session.set_class(class.lowered(request.method(), says_background));
                }
                Ok(session)
            }
            Err(Refusal::Ignored) => {
                self.admit_without_ignored(request, class, request_headers, fetch)
            }
            Err(refusal) => Err(self.dismiss_request(refusal, request)),
        }
    }

    /// Admits a request whose first token counts as absent.
    #[cold]
    fn admit_without_ignored<ReqBody, ResBody>(
        self: &Arc<Self>,
        request: &Request<ReqBody>,
        class: RequestClass,
        request_headers: &RequestHeaders<'_>,
        fetch: KeyFetch,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        match self.authenticate_without_ignored(RequestHead::new(request), fetch) {
            Ok(session) => {
                if let Some(session) = &session {
                    let says_background = || request_headers.says_background();
                    session.set_class(class.lowered(request.method(), says_background));
                }
                Ok(session)
            }
            Err(refusal) => Err(self.dismiss_request(refusal, request)),
        }
    }

    /// As [`dismiss`](Self::dismiss). The head is made here: every other request keeps it in registers.
    #[cold]
    fn dismiss_request<ReqBody, ResBody>(
        self: &Arc<Self>,
        refusal: Refusal,
        request: &Request<ReqBody>,
    ) -> Dismissal<ResBody> {
        self.dismiss(refusal, RequestHead::new(request))
    }

    pub(super) fn dismiss<ResBody>(
        self: &Arc<Self>,
        refusal: Refusal,
        head: RequestHead<'_>,
    ) -> Dismissal<ResBody> {
        match refusal {
            Refusal::Rejected(rejection) => {
                Dismissal::Response(Box::new(self.respond(rejection, head)))
            }
            Refusal::Expired(rejection, expired) => {
                Dismissal::Response(Box::new(self.respond_expired(rejection, &expired, head)))
            }
            Refusal::Asking(expired, answer) => {
                let (head, settings) = (head.to_request(), Arc::clone(self));
                Dismissal::Asking(Box::new(Asking { expired, answer, head, settings }))
            }
            Refusal::Waiting(awaited) => Dismissal::Waiting(Box::new(awaited)),
            Refusal::Ignored => unreachable!("it is no refusal"),
        }
    }

    /// Removes a token that stands in a WebSocket handshake, and the ticket of an authenticated request,
    /// so that no handler sees them. Returns what is to be changed in the response.
    #[inline(always)]
    pub(crate) fn remove_tokens<ReqBody>(
        &self,
        request: &mut Request<ReqBody>,
        is_authenticated: bool,
    ) -> ResponseEdits {
        let mut edits = ResponseEdits::default();
        if self.transports.reads_websocket_protocol() {
            edits = remove_token(request);
        }
        if is_authenticated && self.tickets.is_some() {
            edits.forbid_caching = remove_ticket(request.uri_mut());
        }
        edits
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
