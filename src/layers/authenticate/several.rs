//! Which of several cookies of one name counts (P34).

use std::sync::Arc;

use super::settings::AuthenticateSettings;
use crate::{
    rejection::InvalidTokenReason,
    session::{SessionCheck, StoreAnswer},
    time::Timestamp,
    token::VerifiedToken,
    transport::SeveralTokens,
};

impl AuthenticateSettings {
    /// Those that do not verify or have expired are skipped; of the others, which must be of one
    /// subject, the latest. Without another, the latest of those that verify: it names the reason.
    #[cold]
    pub(super) fn choose(
        &self,
        several: SeveralTokens<'_>,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, InvalidTokenReason> {
        let (mut good, mut refused): (Option<Arc<VerifiedToken>>, _) = (None, None);
        let mut reason = InvalidTokenReason::NoToken;
        for token in several.to_vec() {
            let verified = match self.verifier.verify(token, now) {
                Ok(verified) => verified,
                Err(invalid) => {
                    reason = invalid.reason();
                    continue;
                }
            };
            let check = SessionCheck::new(&verified, StoreAnswer::NotAsked, now);
            if self.enforcement.enforce(&check).is_err() {
                refused = Some(later(refused, verified));
                continue;
            }
            if good.as_ref().is_some_and(|good| !has_same_subject(good, &verified)) {
                return Err(InvalidTokenReason::SeveralTokens);
            }
            good = Some(later(good, verified));
        }
        good.or(refused).ok_or(reason)
    }
}

fn has_same_subject(one: &VerifiedToken, other: &VerifiedToken) -> bool {
    let (one, other) = (one.claims(), other.claims());
    one.sub == other.sub && one.iss == other.iss
}

/// The token that was minted later; the first one of two of the same second.
fn later(first: Option<Arc<VerifiedToken>>, second: Arc<VerifiedToken>) -> Arc<VerifiedToken> {
    first.filter(|first| first.claims().iat >= second.claims().iat).unwrap_or(second)
}
