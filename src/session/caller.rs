//! The session of a request, as a bulk revocation exempts it.

use super::Session;
use crate::{rules::Timeouts, store::CallerSession};

/// For [`Exempt::Caller`](crate::store::Exempt::Caller), in a handler that ends the other sessions of
/// its user.
impl From<&Session> for CallerSession {
    fn from(session: &Session) -> Self {
        let token = session.token();
        let claims = token.claims();
        let (epoch, idle) = match session.enforcement() {
            Some(enforcement) => {
                let timeouts = Timeouts::effective(claims, &enforcement.policy(token));
                (enforcement.epoch(token), timeouts.idle)
            }
            None => (claims.epoch.unwrap_or(claims.auth_time), claims.idle_max.unwrap_or_default()),
        };
        Self::new(token.session_key(), *token.scopes(), epoch, idle)
    }
}
