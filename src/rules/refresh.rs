//! The status of a refresh token's session, and the `exp` of its successor.

use super::{
    Deadlines, ExpiryReason, SessionClaims, SessionStatus, Timeouts, status::invalid_time,
};
use crate::{policy::Policy, time::Timestamp};

/// The status of the session of a refresh token with `claims` at `now`.
///
/// The `exp` of a refresh token is the absolute deadline of its session. Idle is measured from the
/// last activity of the session, as for any request: an active user whose access token expired gets
/// the next one, however old the refresh token is (P33).
pub(crate) fn refresh_status(
    claims: &SessionClaims,
    last_activity: Timestamp,
    policy: &Policy,
    now: Timestamp,
) -> SessionStatus {
    if let Some(invalid) = invalid_time(claims, policy, now) {
        return SessionStatus::Invalid(invalid);
    }
    let timeouts = Timeouts::effective(claims, policy);
    let absolute = claims.auth_time + timeouts.absolute;
    let absolute = absolute.min(claims.exp.refined_by(absolute));
    let idle = last_activity + timeouts.idle;
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

/// The `exp` of a refresh token: the absolute deadline of its session.
#[must_use]
pub(crate) fn refresh_exp(claims: &SessionClaims, policy: &Policy) -> Timestamp {
    Deadlines::new(claims, None, policy).absolute.floor_to_secs()
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
        builder.absolute_timeout(Duration::from_secs(4 * HOUR)).build().expect("a legal policy")
    }

    fn token(exp: u64) -> SessionClaims {
        SessionClaims::new("ada", "s", at(0), at(exp))
    }

    fn expiry(claims: &SessionClaims, last_activity: u64, now: Timestamp) -> Option<ExpiryReason> {
        match refresh_status(claims, at(last_activity), &policy(), now) {
            SessionStatus::Expired(reason) => Some(reason),
            _ => None,
        }
    }

    #[test]
    fn p33_a_refresh_token_expires_with_its_session() {
        let millisecond = Duration::from_millis(1);
        for (exp, last_activity, deadline, reason) in [
            (4 * HOUR, 0, HOUR, ExpiryReason::Idle),
            (4 * HOUR, HOUR / 2, HOUR + HOUR / 2, ExpiryReason::Idle),
            (4 * HOUR, 2 * HOUR, 3 * HOUR, ExpiryReason::Idle),
            (4 * HOUR, 4 * HOUR - 1, 4 * HOUR, ExpiryReason::Absolute),
            (9 * HOUR, 4 * HOUR - 1, 4 * HOUR, ExpiryReason::Absolute),
            (4 * HOUR, 3 * HOUR, 4 * HOUR, ExpiryReason::Absolute),
            // An adopted token keeps its own `exp`.
            (2 * HOUR, 2 * HOUR - 1, 2 * HOUR, ExpiryReason::Absolute),
        ] {
            let claims = token(exp);
            assert_eq!(expiry(&claims, last_activity, at(deadline) - millisecond), None);
            assert_eq!(expiry(&claims, last_activity, at(deadline)), Some(reason));
            assert_eq!(expiry(&claims, last_activity, at(deadline) + millisecond), Some(reason));
        }
    }

    #[test]
    fn p20_a_shortened_policy_applies_and_a_lengthened_one_does_not() {
        let mut claims = token(4 * HOUR);
        claims.idle_max = Some(Duration::from_secs(3 * HOUR));
        assert_eq!(expiry(&claims, 0, at(HOUR)), Some(ExpiryReason::Idle));
        claims.idle_max = Some(Duration::from_secs(HOUR / 2));
        assert_eq!(expiry(&claims, 0, at(HOUR / 2)), Some(ExpiryReason::Idle));
        claims.abs_max = Some(Duration::from_secs(2 * HOUR));
        claims.idle_max = None;
        assert_eq!(expiry(&claims, 2 * HOUR - 1, at(2 * HOUR)), Some(ExpiryReason::Absolute));
    }

    #[test]
    fn p33_a_successor_expires_at_the_absolute_deadline() {
        assert_eq!(refresh_exp(&token(HOUR), &policy()), at(4 * HOUR));
    }

    #[test]
    fn p12_a_token_from_the_future_is_invalid() {
        let mut claims = token(4 * HOUR);
        claims.iat = at(HOUR);
        let now = at(HOUR) - Duration::from_secs(5);
        assert_eq!(expiry(&claims, 0, now), None);
        let earlier = now - Duration::from_millis(1);
        assert_eq!(
            refresh_status(&claims, at(0), &policy(), earlier),
            SessionStatus::Invalid(crate::rules::InvalidTime::IssuedInFuture)
        );
    }
}
