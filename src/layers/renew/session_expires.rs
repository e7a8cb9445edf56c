//! The response header `Session-Expires`.

use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::{RenewalContext, shared_cache::may_be_stored};
use crate::{rules::Deadlines, time::Timestamp};

const SESSION_EXPIRES: HeaderName = HeaderName::from_static("session-expires");

impl RenewalContext {
    /// Adds `Session-Expires` where the layer is set to, unless a cache would repeat it (P9).
    #[inline]
    pub(super) fn add_session_expires<B>(&self, response: &mut Response<B>) {
        if self.settings.session_expires && self.session.may_renew() {
            let is_repeated =
                response.status() == StatusCode::NOT_MODIFIED || may_be_stored(response.headers());
            if !is_repeated {
                self.insert_deadlines(response);
            }
        }
    }

    fn insert_deadlines<B>(&self, response: &mut Response<B>) {
        let claims = self.session.session_claims();
        let policy = self.session.policy(&self.settings.profiles);
        let deadlines = Deadlines::new(claims, Some(self.session.last_activity()), &policy);
        let now = self.settings.clock.now();
        let left = |until: Timestamp| until.since(now).as_secs();
        let idle = left(deadlines.idle.unwrap_or(deadlines.absolute));
        let is_foreign = self.session.token().is_foreign();
        let renewable = if policy.renews() && !is_foreign { ", renewable" } else { "" };
        let value = format!("idle={idle}, absolute={}{renewable}", left(deadlines.absolute));
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(SESSION_EXPIRES, value);
        }
    }
}
