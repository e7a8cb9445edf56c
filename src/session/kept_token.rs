//! What an open stream keeps of its token.

use std::{num::NonZeroU16, time::Duration};

use crate::{
    policy::Profiles,
    rules::{MintedBy, SessionClaims},
    store::{OpenStream, Renewed},
    time::Timestamp,
    token::VerifiedToken,
};

/// The times of a token and the profile of its session, in 40 bytes: a stream may outlive the cache of
/// tokens, and a token takes a kilobyte.
pub(super) struct KeptToken {
    auth_time: Timestamp,
    iat: Timestamp,
    /// The last activity that the token proves.
    activity: Timestamp,
    /// `exp` less `iat`.
    lifetime: Seconds,
    idle_max: Seconds,
    abs_max: Seconds,
    profile: Option<NonZeroU16>,
    minted_by: MintedBy,
    has_epoch: bool,
}

/// A whole number of seconds, as claims have them; the largest stands for none.
#[derive(Clone, Copy)]
struct Seconds(u32);

impl Seconds {
    fn new(duration: Option<Duration>) -> Self {
        Self(duration.and_then(|it| u32::try_from(it.as_secs()).ok()).unwrap_or(u32::MAX))
    }

    fn duration(self) -> Option<Duration> {
        (self.0 < u32::MAX).then(|| Duration::from_secs(self.0.into()))
    }
}

impl KeptToken {
    pub(super) fn new(claims: &SessionClaims, profiles: &Profiles) -> Self {
        Self {
            auth_time: claims.auth_time,
            iat: claims.iat,
            activity: claims.proven_activity(Timestamp::MAX),
            lifetime: Seconds::new(Some(claims.exp.since(claims.iat))),
            idle_max: Seconds::new(claims.idle_max),
            abs_max: Seconds::new(claims.abs_max),
            profile: profiles.number_of(claims.session_profile.as_deref()),
            minted_by: claims.minted_by,
            has_epoch: claims.epoch.is_some(),
        }
    }

    /// Takes the times of a token that was minted since.
    pub(super) fn renew(&mut self, renewed: &Renewed) {
        let Renewed { iat, exp, activity, .. } = *renewed;
        if iat > self.iat {
            (self.iat, self.lifetime) = (iat, Seconds::new(Some(exp.since(iat))));
            self.activity = self.activity.max(activity);
        }
    }

    /// The token, without its payload and the names in it, of the session of `stream`.
    pub(super) fn token(&self, stream: &OpenStream, profiles: &Profiles) -> VerifiedToken {
        let exp = self.lifetime.duration().map_or(Timestamp::MAX, |lifetime| self.iat + lifetime);
        let mut claims = SessionClaims::new("", "", self.auth_time, exp);
        claims.iat = self.iat;
        claims.seen = Some(self.activity);
        claims.idle_max = self.idle_max.duration();
        claims.abs_max = self.abs_max.duration();
        claims.epoch = self.has_epoch.then(|| stream.epoch());
        let profile = self.profile.and_then(|number| profiles.name_of(number));
        claims.session_profile = profile.map(Into::into);
        claims.minted_by = self.minted_by;
        VerifiedToken::of_open_session(claims, stream.keys().session, stream.scopes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<KeptToken>(), 40);
    }

    #[test]
    fn seconds_are_kept_or_absent() {
        for secs in [0, 1, u64::from(u32::MAX) - 1] {
            let duration = Some(Duration::from_secs(secs));
            assert_eq!(Seconds::new(duration).duration(), duration);
        }
        for absent in [None, Some(Duration::from_secs(u32::MAX.into())), Some(Duration::MAX)] {
            assert_eq!(Seconds::new(absent).duration(), None);
        }
    }
}
