//! When a renewal is due, and the times of the successor.

use std::time::Duration;

use super::{Deadlines, MintedBy, SessionClaims, status::absolute_deadline};
use crate::{
    policy::{Policy, RenewWhen},
    time::Timestamp,
};

/// The times of a token to be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub(crate) struct TokenTimes {
    /// `iat`.
    pub iat: Timestamp,
    /// `exp`: at most the absolute deadline of the session.
    pub exp: Timestamp,
}

/// The times of the successor, if the token with `claims` is due for renewal at `now`.
///
/// `None` if the policy does not renew, if more of the token is left than the threshold, or if the
/// successor would expire no later: renewals end at the absolute deadline (P1).
#[inline]
#[must_use]
pub(crate) fn renewal_times(
    claims: &SessionClaims,
    policy: &Policy,
    now: Timestamp,
) -> Option<TokenTimes> {
    if !policy.renews() {
        return None;
    }
    let deadlines = Deadlines::new(claims, None, policy);
    let token = match claims.minted_by {
        MintedBy::ThisCrate => deadlines.token,
        // A token of this crate replaces it when one of the lifetime of the policy would be due.
        _ => deadlines.token.min(claims.iat + policy.token_lifetime()),
    };
    let always = match policy.renew_when() {
        RenewWhen::Always => true,
        RenewWhen::Threshold(threshold) => {
            let lifetime = token.millis_since(claims.iat);
            let left = token.millis_since(now);
            if left >= lifetime * threshold {
                return None;
            }
            false
        }
    };
    let successor = successor_times(claims, policy, now);
    let gains = successor.exp > token;
    let repeats = successor.exp == token && successor.exp < deadlines.absolute.floor_to_secs();
    // An adopted token may be active past the absolute deadline, and then has no successor.
    (successor.exp > now && (gains || always && repeats)).then_some(successor)
}

/// The times of a successor minted at `now`, whether or not one is due.
pub(crate) fn successor_times(
    claims: &SessionClaims,
    policy: &Policy,
    now: Timestamp,
) -> TokenTimes {
    let absolute = absolute_deadline(claims, policy);
    let exp = (now + policy.token_lifetime()).min(absolute);
    TokenTimes { iat: now.floor_to_secs(), exp: exp.floor_to_secs() }
}

/// How long one renewal at `now` blocks others of its session: the min interval, at most half of
/// what is left of the token, so that a successor that is lost is minted again in time (P33).
#[must_use]
pub(crate) fn single_flight_interval(
    claims: &SessionClaims,
    policy: &Policy,
    now: Timestamp,
) -> Duration {
    let left = Deadlines::new(claims, None, policy).token.since(now);
    policy.renew_min_interval().min(left / 2)
}

/// Whether a renewal is due at `now`, and less than half of the window in which it is due is left.
#[must_use]
pub(crate) fn is_renewal_overdue(claims: &SessionClaims, policy: &Policy, now: Timestamp) -> bool {
    let token = Deadlines::new(claims, None, policy).token;
    let window = token.millis_since(claims.iat) * policy.renew_when().share();
    token.millis_since(now) < window / 2.0 && renewal_times(claims, policy, now).is_some()
}

/// Whether the renewal rate of the user is waived: a token that would expire within the interval
/// does not wait for another device of the same user (P28).
#[must_use]
pub(crate) fn waives_rate(claims: &SessionClaims, policy: &Policy, now: Timestamp) -> bool {
    Deadlines::new(claims, None, policy).token.since(now) <= policy.renew_min_interval()
}

#[cfg(test)]
mod tests;
