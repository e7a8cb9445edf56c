//! The session of a request, as a bulk revocation exempts it.

use super::Session;
use crate::{rules::Timeouts, store::CallerSession};

/// For [`Exempt::Caller`](crate::store::Exempt::Caller), in a handler that ends the other sessions of
/// its user.
impl From<&Session> for CallerSession {
    fn from(session: &Session) -> Self {
        let token = session.token();
        let claims = token.claims();
        let enforced = session
            .enforcement()
            .map(|enforcement| Timeouts::effective(claims, &enforcement.policy(token)).idle);
        let idle = enforced.or(claims.idle_max).unwrap_or_default();
        Self::new(token.session_key(), *token.scopes(), claims.epoch(), idle)
    }
}
