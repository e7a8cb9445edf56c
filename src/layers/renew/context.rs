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
    rules,
    session::Session,
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
        let may_be_due = session.may_renew()
            && (self.class() == RequestClass::User
                || session.has_replaced_claims()
                || session.has_new_claims());
        if may_be_due && let Some(pending) = self.pending_renewal(response) {
            return Some(pending);
        }
        self.add_session_expires(response);
        None
    }

    /// The renewal of `response`, if one is due.
    fn pending_renewal<B>(&self, response: &Response<B>) -> Option<PendingRenewal> {
        let (session, settings) = (&self.session, &self.settings);
        let replaced = session.take_replaced_claims();
        let claims = session.session_claims();
        let policy = session.policy(&settings.profiles);
        let now = settings.clock.now();
        // An adopted token may be active past the absolute deadline.
        let now_or_never =
            || Some(rules::successor_times(claims, &policy, now)).filter(|it| it.exp > now);
        let (times, reason) = match replaced {
            Some(claims) => (now_or_never()?, RenewalReason::Replaced(claims)),
            None if session.has_new_claims() => (now_or_never()?, RenewalReason::StaleClaims),
            None if self.class() == RequestClass::User => {
                (rules::renewal_times(claims, &policy, now)?, RenewalReason::Due)
            }
            // An inner renewal layer took the replaced claims.
            None => return None,
        };
        // Checked last: most tokens are not due.
        if !self.is_renewable(response) {
            metrics::count_renewal("withheld");
            tracing::debug!(
                status = response.status().as_u16(),
                "not renewed: the response may not carry a token"
            );
            return None;
        }
        Some(PendingRenewal {
            session: session.clone(),
            settings: Arc::clone(settings),
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
