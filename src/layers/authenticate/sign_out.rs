//! The tokens that a request to sign out presents.

use std::sync::Arc;

use super::settings::AuthenticateSettings;
use crate::{
    rejection::Rejection,
    request_class::RequestHead,
    token::{InvalidToken, VerifiedToken},
    transport::{Presented, TokenOrigin},
};

impl AuthenticateSettings {
    /// The authentic tokens that a request presents, in whatever transport, expired or not. Refused
    /// cookies count as absent (P34).
    ///
    /// # Errors
    /// `invalid_token` if a header presents one that does not verify.
    pub(crate) fn authentic_tokens(
        &self,
        head: RequestHead<'_>,
    ) -> Result<Vec<Arc<VerifiedToken>>, Rejection> {
        let now = self.enforcement.clock.now();
        let (mut tokens, mut skipped) = (Vec::new(), 0);
        while let Some(finder) = self.transports.finder(head, skipped) {
            let verify = |token: &[u8]| self.verifier.verify(token, now);
            let presented = self.transports.read(head, finder);
            match presented {
                Presented::One(token, TokenOrigin::Header) => {
                    tokens.push(verify(token).map_err(reject)?);
                }
                Presented::Unreadable(reason, TokenOrigin::Header) => {
                    return Err(Rejection::invalid_token(reason));
                }
                Presented::One(token, TokenOrigin::Cookie) => tokens.extend(verify(token)),
                Presented::Several(several, _) => {
                    tokens.extend(
                        several.to_vec().into_iter().filter_map(|token| verify(token).ok()),
                    );
                }
                Presented::Unreadable(_, TokenOrigin::Cookie) | Presented::None => {}
            }
            skipped = finder + 1;
        }
        Ok(tokens)
    }
}

fn reject(invalid: InvalidToken) -> Rejection {
    Rejection::invalid_token(invalid.reason())
}
