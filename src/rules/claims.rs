//! The claims of a session.

use crate::time::Timestamp;
use std::{fmt, time::Duration};

/// The claims of a verified token that this crate uses.
///
/// `aud` and `jti` are checked at verification and not kept. The app's own claims stay in the
/// payload ([`Session::claims`](crate::Session::claims)). `Debug` shows times only.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionClaims {
    /// `sub`: the user.
    pub sub: Box<str>,
    /// `sid`: the session. It never changes.
    pub sid: Box<str>,
    /// `iss`: the issuer.
    pub iss: Option<Box<str>>,
    /// `tenant`: the account.
    pub tenant: Option<Box<str>>,
    /// `session_profile`: the name of the policy. Absent means `normal`.
    pub session_profile: Option<Box<str>>,
    /// `auth_time`: when the user signed in. It never changes. The claim is in whole seconds; this is
    /// the millisecond of `epoch` where that lies in the same second, so that no timeout is cut.
    pub auth_time: Timestamp,
    /// `iat`: when the token was minted.
    pub iat: Timestamp,
    /// `exp`: when the token expires.
    pub exp: Timestamp,
    /// `nbf`: the token is not valid before this instant.
    pub nbf: Option<Timestamp>,
    /// `idle_max`: the idle timeout at sign-in, in seconds.
    pub idle_max: Option<Duration>,
    /// `abs_max`: the absolute timeout at sign-in, in seconds.
    pub abs_max: Option<Duration>,
    /// `epoch`: when the session began, in milliseconds, for comparison with revocation cutoffs.
    pub epoch: Option<Timestamp>,
    /// `claims_at`: the number of the last [change of claims](crate::SlidingSessions::claims_changed)
    /// that the app's claims in the token contain, an instant in milliseconds. Absent means none.
    pub claims_at: Option<Timestamp>,
    /// `seen`: the last activity, in a token whose mint was no activity.
    pub seen: Option<Timestamp>,
    /// `refresh_gen`: how many refreshes of the session led to the token. Absent means none.
    pub generation: u32,
    /// Who minted the token.
    pub(crate) minted_by: MintedBy,
}

/// Who minted a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MintedBy {
    ThisCrate,
    /// An earlier system with a key of ours: the token was adopted.
    EarlierSystem,
    OtherIssuer,
}

impl SessionClaims {
    /// Claims of a session that began at `auth_time`, of a token valid from then until `exp`.
    #[must_use]
    pub fn new(sub: &str, sid: &str, auth_time: Timestamp, exp: Timestamp) -> Self {
        Self {
            sub: sub.into(),
            sid: sid.into(),
            iss: None,
            tenant: None,
            session_profile: None,
            auth_time,
            iat: auth_time,
            exp,
            nbf: None,
            idle_max: None,
            abs_max: None,
            epoch: None,
            claims_at: None,
            seen: None,
            generation: 0,
            minted_by: MintedBy::ThisCrate,
        }
    }

    /// Whether the token has a lifetime that is not that of the policy.
    pub(crate) fn is_minted_elsewhere(&self) -> bool {
        self.minted_by != MintedBy::ThisCrate
    }

    /// The last activity that the token itself proves: `seen`, else the later of `iat` and the
    /// sign-in; at most `now`.
    #[inline]
    #[must_use]
    pub fn proven_activity(&self, now: Timestamp) -> Timestamp {
        self.seen.unwrap_or(self.iat.max(self.auth_time)).min(now)
    }
}

impl fmt::Debug for SessionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionClaims")
            .field("auth_time", &self.auth_time)
            .field("iat", &self.iat)
            .field("exp", &self.exp)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
