//! The status of a refresh token's session, what the token is good for, and the `exp` of its
//! successor.

use std::time::Duration;

use super::{
    ExpiryReason, SessionClaims, SessionStatus, Timeouts,
    status::{absolute_deadline, invalid_time},
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
    absolute_deadline(claims, policy).floor_to_secs()
}

/// What a store recorded of the last exchange of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordedExchange {
    /// The generation that it led to.
    pub(crate) generation: u32,
    /// When it was made; `None` if no exchange is recorded.
    pub(crate) at: Option<Timestamp>,
    /// Whether it had successors.
    pub(crate) has_successors: bool,
    /// The latest generation of which an access token was presented.
    pub(crate) presented: u32,
}

/// What a refresh token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshStep {
    /// It is exchanged.
    Exchange,
    /// It was exchanged, and its successors may not have arrived: they are minted again.
    Repeat,
    /// It was consumed without successors, or reuse is not detected.
    Consumed,
    /// It was used before: the client or an attacker has a copy (RFC 9700 section 4.14.2).
    Reused,
}

/// What a refresh token of `generation` is good for at `now`.
///
/// A token of the recorded generation, or of a later one, is exchanged: what the store lacks, it
/// has lost. The token before it gets the same successors within `grace` and the clock skew between
/// two nodes; later only as long as neither successor has been presented, since then the answer
/// was lost. A `grace` of zero switches this, and the detection of reuse, off.
pub(crate) fn refresh_step(
    generation: u32,
    recorded: RecordedExchange,
    grace: Duration,
    skew: Duration,
    now: Timestamp,
) -> RefreshStep {
    if recorded.generation <= generation {
        return RefreshStep::Exchange;
    }
    let Some(at) = recorded.at.filter(|_| !grace.is_zero()) else { return RefreshStep::Consumed };
    if recorded.generation > generation.saturating_add(1) {
        return RefreshStep::Reused;
    }
    let may_be_lost = recorded.presented < recorded.generation;
    match recorded.has_successors {
        false => RefreshStep::Consumed,
        true if now < at + grace + skew || may_be_lost => RefreshStep::Repeat,
        true => RefreshStep::Reused,
    }
}

#[cfg(test)]
mod tests {
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

    /// The step of a token of generation 3 whose last exchange was at second 100.
    fn step(generation: u32, presented: u32, grace: u64, now: u64) -> RefreshStep {
        let recorded =
            RecordedExchange { generation, at: Some(at(100)), has_successors: true, presented };
        let [grace, skew] = [grace, 5].map(Duration::from_secs);
        refresh_step(3, recorded, grace, skew, at(now))
    }

    #[test]
    fn p33_a_token_that_the_store_is_behind_of_is_exchanged() {
        for recorded in 0..=3 {
            assert_eq!(step(recorded, 0, 10, 10_000), RefreshStep::Exchange, "{recorded}");
        }
    }

    #[test]
    fn p33_a_lost_answer_is_repeated_until_a_successor_is_presented() {
        for (presented, now, expected) in [
            (3, 100, RefreshStep::Repeat),
            (3, 10_000, RefreshStep::Repeat),
            (4, 114, RefreshStep::Repeat),
            (4, 115, RefreshStep::Reused),
        ] {
            assert_eq!(step(4, presented, 10, now), expected, "{presented} {now}");
        }
        assert_eq!(step(5, 0, 10, 100), RefreshStep::Reused, "its successor was exchanged");
    }

    #[test]
    fn without_grace_or_successors_a_used_token_is_consumed() {
        assert_eq!(step(4, 0, 0, 100), RefreshStep::Consumed);
        assert_eq!(step(9, 0, 0, 100), RefreshStep::Consumed);
        let recorded = RecordedExchange {
            generation: 4,
            at: Some(at(100)),
            has_successors: false,
            presented: 0,
        };
        let grace = Duration::from_secs(10);
        let consumed = refresh_step(3, recorded, grace, Duration::ZERO, at(100));
        assert_eq!(consumed, RefreshStep::Consumed);
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
