//! The status of a session: active, expired or invalid, and its deadlines.

use std::time::Duration;

use super::{MintedBy, SessionClaims};
use crate::{policy::Policy, time::Timestamp};

/// Which deadline of a session or its token passes first; ties are broken in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpiryReason {
    /// The absolute deadline: `auth_time` plus the absolute timeout.
    Absolute,
    /// The idle deadline: the last activity plus the idle timeout.
    Idle,
    /// The `exp` of the token.
    Token,
}

/// The timeouts of one session: the smaller of those in its token and those of its policy now.
/// Shortening a policy reaches active sessions, lengthening it makes none active again (P20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) struct Timeouts {
    /// The longest time between two activities.
    pub idle: Duration,
    /// The longest time between sign-in and the end of the session.
    pub absolute: Duration,
    /// The longest time between `iat` and `exp` of one token.
    pub lifetime: Duration,
}

impl Timeouts {
    /// The timeouts of a session with `claims` under `policy`.
    #[inline]
    #[must_use]
    pub(crate) fn effective(claims: &SessionClaims, policy: &Policy) -> Self {
        let smaller =
            |carried: Option<Duration>, now: Duration| carried.map_or(now, |then| now.min(then));
        Self {
            idle: smaller(claims.idle_max, policy.idle_timeout()),
            absolute: smaller(claims.abs_max, policy.absolute_timeout()),
            lifetime: policy.token_lifetime(),
        }
    }
}

/// The three deadlines of a session. At `now >= deadline` it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// When the session expires in any case. Of an [adopted](crate::token::LegacyTokens::adopt) token
    /// not before its `exp`.
    pub absolute: Timestamp,
    /// When the session expires without activity; `None` where the last activity is unknown.
    pub idle: Option<Timestamp>,
    /// When the token expires: `exp`, or `iat` plus the token lifetime of the policy now if that is
    /// earlier; the absolute deadline if that lies in the same second, since `exp` is rounded down.
    /// Of an adopted token and one of another issuer `exp`.
    pub token: Timestamp,
}

impl Deadlines {
    /// The deadlines of `claims` under `policy`, with `last_activity` where it is known.
    #[inline(always)]
    #[must_use]
    pub(crate) fn new(
        claims: &SessionClaims,
        last_activity: Option<Timestamp>,
        policy: &Policy,
    ) -> Self {
        let timeouts = Timeouts::effective(claims, policy);
        let absolute = claims.auth_time + timeouts.absolute;
        let idle = last_activity.map(|at| at + timeouts.idle);
        let token = match (claims.minted_by, claims.exp) {
            // The app built the session without a token.
            (_, Timestamp::MAX) => Timestamp::MAX,
            (MintedBy::ThisCrate, exp) => {
                exp.min(claims.iat + timeouts.lifetime).refined_by(absolute)
            }
            // It has a lifetime of its own.
            (_, exp) => exp,
        };
        Self { absolute: absolute.max(adopted_until(claims)), idle, token }
    }

    /// When the session expires without further activity, and in any case. The first is the absolute
    /// deadline where that is earlier, or where the last activity is unknown.
    #[must_use]
    pub(crate) fn of_session(&self) -> (Timestamp, Timestamp) {
        (self.idle.unwrap_or(self.absolute).min(self.absolute), self.absolute)
    }

    /// The deadline that passes first, and when. `leeway` is granted to the token only.
    #[inline(always)]
    #[must_use]
    pub fn earliest(&self, leeway: Duration) -> (ExpiryReason, Timestamp) {
        let earlier = |first: (ExpiryReason, Timestamp), next: (ExpiryReason, Timestamp)| {
            if next.1 < first.1 { next } else { first }
        };
        let idle = (ExpiryReason::Idle, self.idle.unwrap_or(Timestamp::MAX));
        let token = (ExpiryReason::Token, self.token + leeway);
        earlier(earlier((ExpiryReason::Absolute, self.absolute), idle), token)
    }
}

/// How long after the sign-in the token of an earlier system is accepted at most: a revocation cutoff
/// is kept for that long where such tokens are adopted.
pub(crate) const LONGEST_ADOPTION: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Until when the token of an earlier system keeps its session active, whatever the absolute timeout
/// of the policy: its `exp`. A deployment must not sign its user out (P33). The epoch for any other
/// token.
#[must_use]
#[inline(always)]
pub(crate) fn adopted_until(claims: &SessionClaims) -> Timestamp {
    match claims.minted_by {
        MintedBy::EarlierSystem => claims.exp.min(claims.auth_time + LONGEST_ADOPTION),
        MintedBy::ThisCrate | MintedBy::OtherIssuer => Timestamp::EPOCH,
    }
}

/// The absolute deadline of the tokens that this crate mints for a session: the sign-in plus the
/// absolute timeout.
#[must_use]
pub(super) fn absolute_deadline(claims: &SessionClaims, policy: &Policy) -> Timestamp {
    claims.auth_time + Timeouts::effective(claims, policy).absolute
}

/// What a session is judged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum SessionStatus {
    /// It is active until the earliest deadline.
    Active {
        /// Which deadline comes first.
        reason: ExpiryReason,
        /// When it comes.
        until: Timestamp,
    },
    /// It has expired; the earliest passed deadline names the reason.
    Expired(ExpiryReason),
    /// The times in the token contradict each other or the clock.
    Invalid(InvalidTime),
}

/// Which times of a token are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidTime {
    /// `iat` is in the future.
    IssuedInFuture,
    /// `nbf` is in the future.
    NotYetValid,
    /// `auth_time` is later than `iat`.
    IssuedBeforeSignIn,
}

/// The last activity of a session: the later of what a store returned and what the token proves.
#[inline]
#[must_use]
pub(crate) fn last_activity(
    claims: &SessionClaims,
    stored: Option<Timestamp>,
    now: Timestamp,
) -> Timestamp {
    let proven = claims.proven_activity(now);
    stored.map_or(proven, |stored| stored.max(proven))
}

/// The last activity that is assumed of a session that no store knows: the latest one that leaves
/// no trace in a token with `claims`, which is `span` after its `iat`, at most now.
#[must_use]
#[inline]
pub(crate) fn unknown_activity(
    claims: &SessionClaims,
    span: Duration,
    now: Timestamp,
) -> Timestamp {
    claims.proven_activity(now).max((claims.iat + span).min(now))
}

/// The last activity of a session of which a store knows `stored`, but has lost what followed until
/// `lost_until`: as late as that of an unknown session, and not later than the loss.
#[must_use]
#[inline]
pub(crate) fn activity_before_loss(
    stored: Timestamp,
    unknown_activity: Timestamp,
    lost_until: Timestamp,
) -> Timestamp {
    stored.max(unknown_activity.min(lost_until))
}

/// The status of the session of an access token with `claims` at `now`. Without `last_activity` the
/// idle timeout is not checked.
///
/// The policy's clock skew is granted to `nbf` and to an `iat` in the future, its leeway to `exp`,
/// nothing to the absolute deadline.
#[inline(always)]
pub(crate) fn status(
    claims: &SessionClaims,
    last_activity: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> SessionStatus {
    if let Some(invalid) = invalid_time(claims, policy, now) {
        return SessionStatus::Invalid(invalid);
    }
    let deadlines = Deadlines::new(claims, last_activity, policy);
    let (reason, until) = deadlines.earliest(policy.leeway());
    if now >= until {
        SessionStatus::Expired(reason)
    } else {
        SessionStatus::Active { reason, until }
    }
}

/// The status of a session at `now`, whatever became of its tokens: of one that a store knows, and
/// that a stream is open of (P36).
pub(crate) fn session_status(
    claims: &SessionClaims,
    last_activity: Option<Timestamp>,
    policy: &Policy,
    now: Timestamp,
) -> SessionStatus {
    let token = Timestamp::MAX;
    let deadlines = Deadlines { token, ..Deadlines::new(claims, last_activity, policy) };
    let (reason, until) = deadlines.earliest(Duration::ZERO);
    if now >= until {
        SessionStatus::Expired(reason)
    } else {
        SessionStatus::Active { reason, until }
    }
}

/// Which times of a token are invalid at `now`, if any.
#[inline]
pub(super) fn invalid_time(
    claims: &SessionClaims,
    policy: &Policy,
    now: Timestamp,
) -> Option<InvalidTime> {
    let skew = policy.max_clock_skew();
    if claims.iat.is_beyond(now, skew) {
        Some(InvalidTime::IssuedInFuture)
    } else if claims.nbf.is_some_and(|nbf| nbf.is_beyond(now, skew)) {
        Some(InvalidTime::NotYetValid)
    } else if claims.auth_time > claims.iat
        // Only the second: `iat` has no milliseconds.
        && claims.auth_time.floor_to_secs().is_beyond(claims.iat, skew)
    {
        Some(InvalidTime::IssuedBeforeSignIn)
    } else {
        None
    }
}

/// Whether the user signed in less than `max_age` ago; false at exactly `max_age` (RFC 9470).
#[must_use]
pub(crate) fn signed_in_within(claims: &SessionClaims, max_age: Duration, now: Timestamp) -> bool {
    now < claims.auth_time + max_age
}

#[cfg(test)]
mod tests;
