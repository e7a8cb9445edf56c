//! Which of several cookies of one name counts (P34).

use std::sync::Arc;

use super::{
    new_keys::{KeyFetch, Unverified},
    settings::AuthenticateSettings,
};
use crate::{
    maybe_ready::MaybeReady,
    rejection::InvalidTokenReason,
    session::{SessionCheck, StoreAnswer},
    time::Timestamp,
    token::VerifiedToken,
    transport::SeveralTokens,
};

impl AuthenticateSettings {
    /// Those that do not verify or have expired are skipped; of the others, which must be of one
    /// subject, the latest. Without another, the latest of those that verify: it names the reason.
    ///
    /// Keys that could not be fetched leave the others: a made-up cookie locks nobody out.
    #[cold]
    pub(super) fn choose(
        &self,
        several: SeveralTokens<'_>,
        now: Timestamp,
        fetch: KeyFetch,
    ) -> Result<Arc<VerifiedToken>, Unverified> {
        let (mut good, mut refused): (Option<Arc<VerifiedToken>>, _) = (None, None);
        let mut reason = InvalidTokenReason::NoToken;
        let (mut fetches, mut is_unavailable) = (Vec::new(), false);
        for token in several.to_vec() {
            let verified = match self.verify(token, now, fetch) {
                Ok(verified) => verified,
                Err(unverified) => {
                    match unverified {
                        Unverified::Refused(why) => reason = why,
                        Unverified::Unavailable => is_unavailable = true,
                        Unverified::Pending(keys) => fetches.push(keys),
                    }
                    continue;
                }
            };
            let check = SessionCheck::new(&verified, StoreAnswer::NotAsked, now);
            if self.enforcement.enforce(&check).is_err() {
                refused = Some(later(refused, verified));
                continue;
            }
            if good.as_ref().is_some_and(|good| !has_same_subject(good, &verified)) {
                return Err(Unverified::Refused(InvalidTokenReason::SeveralTokens));
            }
            good = Some(later(good, verified));
        }
        if !fetches.is_empty() {
            return Err(Unverified::Pending(all(fetches)));
        }
        match good {
            None if is_unavailable => Err(Unverified::Unavailable),
            good => good.or(refused).ok_or(Unverified::Refused(reason)),
        }
    }
}

fn all(fetches: Vec<MaybeReady<()>>) -> MaybeReady<()> {
    MaybeReady::new(async move {
        for keys in fetches {
            keys.await?;
        }
        Ok(())
    })
}

fn has_same_subject(one: &VerifiedToken, other: &VerifiedToken) -> bool {
    let (one, other) = (one.claims(), other.claims());
    one.sub == other.sub && one.iss == other.iss
}

/// The token that was minted later; the first one of two of the same second.
fn later(first: Option<Arc<VerifiedToken>>, second: Arc<VerifiedToken>) -> Arc<VerifiedToken> {
    first.filter(|first| first.claims().iat >= second.claims().iat).unwrap_or(second)
}
