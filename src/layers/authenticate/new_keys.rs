//! A token whose key is not known: the keys of its issuer may be fetched (P35).

use std::sync::Arc;

use super::settings::AuthenticateSettings;
use crate::{
    maybe_ready::{MaybeReady, REQUEST_TIME_LIMIT, within},
    rejection::InvalidTokenReason,
    time::Timestamp,
    token::{InvalidToken, VerifiedToken},
};

/// Whether keys were fetched for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFetch {
    /// Not yet.
    Allowed,
    Succeeded,
    /// Or it takes too long: a token whose key is not known may be valid.
    Failed,
}

/// Why a token does not verify.
pub(super) enum Unverified {
    Refused(InvalidTokenReason),
    /// Its issuer may have newer keys, and they could not be fetched.
    Unavailable,
    /// The keys of its issuer are fetched.
    Pending(MaybeReady<()>),
}

impl AuthenticateSettings {
    #[inline(always)]
    pub(super) fn verify(
        &self,
        token: &[u8],
        now: Timestamp,
        fetch: KeyFetch,
    ) -> Result<Arc<VerifiedToken>, Unverified> {
        let verified = self.verifier.verify(token, now);
        verified.or_else(|invalid| self.verify_with_new_keys(token, &invalid, now, fetch))
    }

    /// Verifies a token again whose key was not known, with the keys of its issuer.
    #[cold]
    fn verify_with_new_keys(
        &self,
        token: &[u8],
        invalid: &InvalidToken,
        now: Timestamp,
        fetch: KeyFetch,
    ) -> Result<Arc<VerifiedToken>, Unverified> {
        let refused = Unverified::Refused(invalid.reason());
        if invalid.reason() != InvalidTokenReason::UnknownKey || fetch == KeyFetch::Succeeded {
            return Err(refused);
        }
        if fetch == KeyFetch::Failed {
            let can_fetch = self.verifier.can_fetch_keys(token);
            return Err(if can_fetch { Unverified::Unavailable } else { refused });
        }
        let keys = self.verifier.fetch_keys(token, &self.enforcement.clock);
        match keys.map(MaybeReady::try_ready) {
            None => Err(refused),
            Some(Ok(Ok(()))) => {
                let verified = self.verifier.verify(token, now);
                verified.map_err(|invalid| Unverified::Refused(invalid.reason()))
            }
            Some(Ok(Err(_))) => Err(Unverified::Unavailable),
            Some(Err(pending)) => Err(Unverified::Pending(pending)),
        }
    }

    /// As [`verify`](Self::verify); waits for the keys.
    pub(super) async fn verify_and_wait(
        &self,
        token: &[u8],
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, Unverified> {
        match self.verify(token, now, KeyFetch::Allowed) {
            Err(Unverified::Pending(keys)) => {
                let fetched = within(keys, &*self.enforcement.clock, REQUEST_TIME_LIMIT).await;
                self.verify(token, now, fetched.into())
            }
            verified => verified,
        }
    }
}

impl<E> From<Result<(), E>> for KeyFetch {
    fn from(fetched: Result<(), E>) -> Self {
        fetched.map_or(Self::Failed, |()| Self::Succeeded)
    }
}
