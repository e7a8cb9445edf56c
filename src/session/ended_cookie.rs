//! Which rejections clear the session cookie (P34).

use http::{HeaderMap, HeaderName, Response};

use super::{Enforcement, Session};
use crate::{
    rejection::{Rejection, RejectionCause, RejectionKind, RevocationCause},
    transport::{SetCookie, TokenOrigin},
};

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// Whether the answer to a request with `headers`, whose token has this origin, may clear the
/// cookie: to a top-level navigation only. The late answer to any other request would delete the
/// cookie that a renewal, a sign-in or a step-up has set meanwhile.
pub(crate) fn may_clear_cookie(origin: TokenOrigin, headers: &HeaderMap) -> bool {
    let is_only = |name: &HeaderName, expected: &str| {
        let mut values = headers.get_all(name).iter();
        values.next().is_some_and(|value| value == expected) && values.next().is_none()
    };
    // A frame navigates, too.
    let is_top_level = !headers.contains_key(FETCH_DEST) || is_only(&FETCH_DEST, "document");
    origin == TokenOrigin::Cookie && is_top_level && is_only(&FETCH_MODE, "navigate")
}

impl Enforcement {
    /// Clears the session cookie in `response`, which [may](may_clear_cookie) clear it, if the session
    /// has ended for good: idle, at its absolute deadline, or tombstoned. A cookie that this crate has
    /// not signed may belong to another app, and an expired token can be refreshed.
    pub(crate) fn clear_ended_cookie<B>(&self, rejection: &Rejection, response: &mut Response<B>) {
        let has_ended = match rejection.kind() {
            RejectionKind::SessionExpiredIdle | RejectionKind::SessionExpiredAbsolute => true,
            RejectionKind::SessionRevoked => {
                rejection.cause() == Some(RejectionCause::Revoked(RevocationCause::Tombstone))
            }
            _ => false,
        };
        if let Some(cookie) = self.cookie.as_ref().filter(|_| has_ended) {
            SetCookie::clear(cookie).append_to(response.headers_mut());
        }
    }
}

impl Session {
    /// Clears the cookie of this session in the response that rejects its request, if it may.
    pub(crate) fn clear_ended_cookie<B>(
        &self,
        rejection: &Rejection,
        headers: &HeaderMap,
        response: &mut Response<B>,
    ) {
        if let Some(enforcement) = &self.0.authenticated_by
            && !self.token().is_foreign()
            && may_clear_cookie(self.origin(), headers)
        {
            enforcement.clear_ended_cookie(rejection, response);
        }
    }

    /// Whether `rejection` of this session lets the request pass without a session: no token is
    /// required, and this one came in a cookie. A store that failed rejects nevertheless.
    pub(crate) fn counts_as_absent(&self, rejection: &Rejection) -> bool {
        self.0.is_optional && rejection.kind() != RejectionKind::StoreUnavailable
    }
}
