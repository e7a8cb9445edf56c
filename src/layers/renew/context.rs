//! Whether a response may carry a renewed token.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{IF_MODIFIED_SINCE, IF_NONE_MATCH},
};

use super::{
    pending::{PendingRenewal, RenewalReason},
    settings::RenewSettings,
    shared_cache::is_for_shared_caches,
};
use crate::{
    body::Guard,
    metrics,
    rejection::remove_forwarded_error,
    request_class::RequestClass,
    rules::{self, TokenTimes},
    session::Session,
    time::Timestamp,
    token::Seen,
    transport::{TokenInBody, TokenOrigin},
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// What a response is renewed with: the session, which knows the class of its request.
#[derive(Clone)]
pub(crate) struct RenewalContext {
    pub(super) session: Session,
    pub(super) settings: Arc<RenewSettings>,
}

impl RenewalContext {
    /// The context in which the response to `request` may be renewed. `is_conditional`: the response
    /// may be a 304, which carries no token; in the last half of the renewal window, and where
    /// the claims of the token were stale, the conditions are removed.
    #[inline(always)]
    pub(crate) fn new<B>(
        session: Session,
        request: &mut Request<B>,
        is_conditional: bool,
        settings: &Arc<RenewSettings>,
    ) -> Self {
        let settings = Arc::clone(settings);
        session.class(request);
        let context = Self { session, settings };
        if is_conditional && (context.session.has_new_claims() || context.is_overdue()) {
            request.headers_mut().remove(IF_NONE_MATCH);
            request.headers_mut().remove(IF_MODIFIED_SINCE);
        }
        context
    }

    /// The class of the request, which was determined before the handler.
    #[inline(always)]
    fn class(&self) -> RequestClass {
        self.session.known_class().unwrap_or(RequestClass::Background)
    }

    /// Ends the body of the response with `headers` with the session.
    #[inline(always)]
    pub(crate) fn into_guard(self, headers: &HeaderMap) -> Guard {
        match self.class() {
            RequestClass::Public => Guard::Off,
            RequestClass::User | RequestClass::Background => self.session.into_guard(headers),
        }
    }

    /// Whether a renewal has been due for half of its window.
    fn is_overdue(&self) -> bool {
        let (session, settings) = (&self.session, &self.settings);
        let policy = session.policy(&settings.profiles);
        let now = session.now(&*settings.clock);
        self.class() == RequestClass::User
            && rules::is_renewal_overdue(session.session_claims(), &policy, now)
    }

    /// Completes `response`, or returns the renewal to mint first.
    #[inline(always)]
    pub(crate) fn finish<B>(&self, response: &mut Response<B>) -> Option<PendingRenewal> {
        remove_forwarded_error(response);
        let session = &self.session;
        if session.may_renew()
            && let Some(pending) = self.pending_renewal(response)
        {
            return Some(pending);
        }
        self.add_session_expires(response);
        None
    }

    /// The renewal of `response`, if one is due.
    #[inline(always)]
    fn pending_renewal<B>(&self, response: &Response<B>) -> Option<PendingRenewal> {
        let session = &self.session;
        if (session.has_replaced_claims() || session.has_new_claims())
            && let Some(reason) = self.take_claims()
        {
            return self.renewal_with_claims(response, reason);
        }
        if self.class() != RequestClass::User {
            return None;
        }
        let policy = session.policy(&self.settings.profiles);
        let now = self.settings.clock.now();
        let times = rules::renewal_times(session.session_claims(), &policy, now)?;
        self.renewal(response, now, times, RenewalReason::Due)
    }

    /// The claims that the presented token does not have; none if an inner renewal layer took those that
    /// the handler has set.
    #[cold]
    fn take_claims(&self) -> Option<RenewalReason> {
        let replaced = self.session.take_replaced_claims().map(RenewalReason::Replaced);
        replaced.or_else(|| self.session.has_new_claims().then_some(RenewalReason::StaleClaims))
    }

    /// The renewal of a response with claims that the presented token does not have, due or not.
    #[cold]
    fn renewal_with_claims<B>(
        &self,
        response: &Response<B>,
        reason: RenewalReason,
    ) -> Option<PendingRenewal> {
        let session = &self.session;
        let policy = session.policy(&self.settings.profiles);
        let now = self.settings.clock.now();
        let times = rules::successor_times(session.session_claims(), &policy, now);
        // An adopted token may be active past the absolute deadline.
        if times.exp <= now {
            return None;
        }
        self.renewal(response, now, times, reason)
    }

    /// A renewal with these times, if `response` may carry a token. Most tokens are not due: this is
    /// checked last.
    #[cold]
    fn renewal<B>(
        &self,
        response: &Response<B>,
        now: Timestamp,
        times: TokenTimes,
        reason: RenewalReason,
    ) -> Option<PendingRenewal> {
        if !self.is_renewable(response) {
            metrics::count_renewal("withheld");
            tracing::debug!(
                status = response.status().as_u16(),
                "not renewed: the response may not carry a token"
            );
            return None;
        }
        Some(PendingRenewal {
            session: self.session.clone(),
            settings: Arc::clone(&self.settings),
            now,
            times,
            seen: self.seen(),
            reason,
        })
    }

    /// The `seen` claim: a mint of class `User` is activity, a mint of another class is not.
    fn seen(&self) -> Seen {
        match self.class() {
            RequestClass::User => Seen::AtMint,
            _ => Seen::Earlier(self.session.last_activity()),
        }
    }

    /// Whether `response` may carry a token: it is a success, or the claims of the presented token were
    /// stale; it carries no token of its own, neither signs in nor out, and no shared cache may store
    /// it.
    fn is_renewable<B>(&self, response: &Response<B>) -> bool {
        let (status, delivery) = (response.status(), &self.settings.delivery);
        let origin = self.session.origin();
        // Scripts follow a redirect without seeing its headers.
        let is_lost = status.is_redirection() && origin == TokenOrigin::Header;
        let may_have_failed = self.session.has_new_claims();
        let succeeded = (may_have_failed || status.as_u16() < 400)
            && status != StatusCode::NOT_MODIFIED
            && status != StatusCode::SWITCHING_PROTOCOLS;
        let forbids = |(name, value): (&HeaderName, &HeaderValue)| {
            !may_have_failed && *name == GRPC_STATUS && value != "0"
                || delivery.is_used_by(name, value)
        };
        succeeded
            && !is_lost
            && !self.session.token().is_foreign()
            && delivery.reaches(origin)
            && response.extensions().get::<TokenInBody>().is_none()
            && !response.headers().iter().any(forbids)
            && !is_for_shared_caches(response.headers())
    }
}
