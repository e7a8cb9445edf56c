//! The tokens that a request to sign out presents.

use std::{borrow::Cow, sync::Arc};

use super::{admission::decode, new_keys::Unverified, settings::AuthenticateSettings};
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
                Presented::One(token, origin) => (vec![Cow::Borrowed(token)], origin),
                Presented::Base64Url(encoded, origin) => match decode(encoded) {
                    Ok(token) => (vec![Cow::Owned(token)], origin),
                    Err(reason) => return Err(Rejection::invalid_token(reason)),
                },
                Presented::Several(several, origin) => {
                    (several.to_vec().into_iter().map(Cow::Borrowed).collect(), origin)
                }
                Presented::Unreadable(_, TokenOrigin::Cookie) | Presented::None => continue,
                Presented::Unreadable(reason, _) => return Err(Rejection::invalid_token(reason)),
            };
            for token in presented {
                match self.verify_and_wait(&token, now).await {
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
