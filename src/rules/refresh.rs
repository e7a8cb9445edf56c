//! The status of a refresh token's session, and the `exp` of its successor.

use super::{
    Deadlines, ExpiryReason, SessionClaims, SessionStatus, Timeouts, status::invalid_time,
};
use crate::{policy::Policy, time::Timestamp};

/// The status of the session of a refresh token with `claims` at `now`.
///
/// The `exp` of the token is the earlier of the session's two deadlines when it was minted. Past it
/// the session has expired: by the idle timeout, unless the absolute deadline has passed.
pub(crate) fn refresh_status(
    claims: &SessionClaims,
    last_activity: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> SessionStatus {
    if let Some(invalid) = invalid_time(claims, policy, now) {
        return SessionStatus::Invalid(invalid);
    }
    let limits = Timeouts::effective(claims, policy);
    let absolute = claims.auth_time + limits.absolute;
    let idle = (last_activity + limits.idle).min(claims.exp);
    let (reason, until) = if idle < absolute {
        (ExpiryReason::Idle, idle)
    } else {
        (ExpiryReason::Absolute, absolute)
    };
    if now >= until {
        SessionStatus::Expired(reason)
    } else {
        SessionStatus::Active { reason, until }
    }
}

/// The `exp` of a refresh token minted by an activity at `now`: the earlier of both deadlines.
#[must_use]
pub(crate) fn refresh_exp(claims: &SessionClaims, policy: &Policy, now: Timestamp) -> Timestamp {
    let deadlines = Deadlines::new(claims, Some(now), policy);
    deadlines.absolute.min(deadlines.idle.unwrap_or(Timestamp::MAX)).floor_to_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SIGNED_IN: u64 = 1_800_000_000;
    const HOUR: u64 = 3600;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(SIGNED_IN + secs)
    }

    /// Idle timeout 1 h, absolute timeout 4 h.
    fn policy() -> Policy {
        let builder = Policy::builder().idle_timeout(Duration::from_secs(HOUR));
        builder.absolute_timeout(Duration::from_secs(4 * HOUR)).build().expect("it agrees")
    }

    fn token(exp: u64) -> SessionClaims {
        SessionClaims::new("ada", "s", at(0), at(exp))
    }

    fn judged(claims: &SessionClaims, seen: u64, now: Timestamp) -> Option<ExpiryReason> {
        match refresh_status(claims, at(seen), &policy(), now) {
            SessionStatus::Expired(reason) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn each_deadline_is_over_at_its_own_millisecond() {
        let millisecond = Duration::from_millis(1);
        for (exp, seen, deadline, reason) in [
            (HOUR, 0, HOUR, ExpiryReason::Idle),
            // Activity of the access token does not lengthen the refresh token.
            (HOUR, HOUR / 2, HOUR, ExpiryReason::Idle),
            (3 * HOUR, HOUR, 2 * HOUR, ExpiryReason::Idle),
            (4 * HOUR, 4 * HOUR - 1, 4 * HOUR, ExpiryReason::Absolute),
            (9 * HOUR, 4 * HOUR - 1, 4 * HOUR, ExpiryReason::Absolute),
            (4 * HOUR, 3 * HOUR, 4 * HOUR, ExpiryReason::Absolute),
        ] {
            let claims = token(exp);
            assert_eq!(judged(&claims, seen, at(deadline) - millisecond), None);
            assert_eq!(judged(&claims, seen, at(deadline)), Some(reason));
            assert_eq!(judged(&claims, seen, at(deadline) + millisecond), Some(reason));
        }
    }

    #[test]
    fn p20_a_shortened_policy_reaches_it_and_a_lengthened_one_does_not() {
        let mut claims = token(4 * HOUR);
        claims.idle_max = Some(Duration::from_secs(3 * HOUR));
        assert_eq!(judged(&claims, 0, at(HOUR)), Some(ExpiryReason::Idle));
        claims.idle_max = Some(Duration::from_secs(HOUR / 2));
        assert_eq!(judged(&claims, 0, at(HOUR / 2)), Some(ExpiryReason::Idle));
        claims.abs_max = Some(Duration::from_secs(2 * HOUR));
        claims.idle_max = None;
        assert_eq!(judged(&claims, 2 * HOUR - 1, at(2 * HOUR)), Some(ExpiryReason::Absolute));
    }

    #[test]
    fn a_successor_ends_with_the_earlier_deadline() {
        assert_eq!(refresh_exp(&token(HOUR), &policy(), at(60)), at(HOUR + 60));
        assert_eq!(refresh_exp(&token(HOUR), &policy(), at(4 * HOUR - 60)), at(4 * HOUR));
    }

    #[test]
    fn p12_a_token_from_the_future_is_impossible() {
        let mut claims = token(4 * HOUR);
        claims.iat = at(HOUR);
        let now = at(HOUR) - Duration::from_secs(5);
        assert_eq!(judged(&claims, 0, now), None);
        let earlier = now - Duration::from_millis(1);
        assert_eq!(
            refresh_status(&claims, at(0), &policy(), earlier),
            SessionStatus::Invalid(crate::rules::InvalidTime::IssuedInFuture)
        );
    }
}
