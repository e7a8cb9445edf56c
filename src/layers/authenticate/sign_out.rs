//! The tokens that a request to sign out presents.

use std::sync::Arc;

use super::{new_keys::Unverified, settings::AuthenticateSettings};
use crate::{
    rejection::{Rejection, RejectionKind},
    request_class::RequestHead,
    token::VerifiedToken,
    transport::{Presented, TokenOrigin},
};

/// The authentic tokens of a request to sign out.
pub(crate) struct AuthenticTokens {
    pub(crate) tokens: Vec<Arc<VerifiedToken>>,
    /// Others may be authentic: the keys of their issuer could not be fetched.
    pub(crate) unavailable: Option<Rejection>,
}

impl AuthenticateSettings {
    /// The authentic tokens that a request presents, in whatever transport, expired or not. Refused
    /// cookies count as absent (P34).
    ///
    /// # Errors
    /// `invalid_token` if a header presents one that does not verify.
    pub(crate) async fn authentic_tokens(
        &self,
        head: RequestHead<'_>,
    ) -> Result<AuthenticTokens, Rejection> {
        let now = self.enforcement.clock.now();
        let (mut tokens, mut unavailable, mut skipped) = (Vec::new(), None, 0);
        while let Some(finder) = self.transports.finder(head, skipped) {
            skipped = finder + 1;
            let (presented, origin) = match self.transports.read(head, finder) {
                Presented::One(token, origin) => (vec![token], origin),
                Presented::Several(several, origin) => (several.to_vec(), origin),
                Presented::Unreadable(reason, TokenOrigin::Header) => {
                    return Err(Rejection::invalid_token(reason));
                }
                Presented::Unreadable(_, TokenOrigin::Cookie) | Presented::None => continue,
            };
            for token in presented {
                match self.verify_and_wait(token, now).await {
                    Ok(token) => tokens.push(token),
                    Err(Unverified::Refused(_)) if origin == TokenOrigin::Cookie => {}
                    Err(Unverified::Refused(reason)) => {
                        return Err(Rejection::invalid_token(reason));
                    }
                    Err(Unverified::Unavailable | Unverified::Pending(_)) => {
                        unavailable = Some(RejectionKind::StoreUnavailable.into());
                    }
                }
            }
        }
        Ok(AuthenticTokens { tokens, unavailable })
    }
}
