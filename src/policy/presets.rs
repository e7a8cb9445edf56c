//! Policies with the timeouts of common standards.

use std::time::Duration;

use super::{
    Policy, RenewWhen,
    builder::{MAX_CLOCK_SKEW, RENEW_MIN_INTERVAL, RENEW_THRESHOLD, untraced_activity},
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Policies with the timeouts of common standards. Except in `long_lived`, a token is valid for twice
/// the idle timeout and is renewed in the second half of its lifetime, so that no token expires
/// during a pause that is shorter than the idle timeout.
///
/// The owner of an account cannot lengthen the timeouts of a preset, nor those of a policy that
/// [`Policy::to_builder`] makes from it with timeouts that are not longer.
impl Policy {
    /// NIST SP 800-63B-4, section 2.2.3 (AAL2): 1 hour of inactivity, 24 hours overall; tokens
    /// of 2 hours.
    #[must_use]
    pub fn nist_aal2() -> Self {
        Self::preset(HOUR, 24 * HOUR, 2 * HOUR)
    }

    /// NIST SP 800-63B-4, section 2.3.3 (AAL3): 15 minutes of inactivity, 12 hours overall;
    /// tokens of 30 minutes.
    #[must_use]
    pub fn nist_aal3() -> Self {
        Self::preset(15 * MINUTE, 12 * HOUR, 30 * MINUTE)
    }

    /// PCI DSS v4.0.1, requirement 8.2.8: 15 minutes of inactivity; tokens of 30 minutes. The standard
    /// has no absolute timeout; 12 hours is this crate's choice.
    #[must_use]
    pub fn pci_dss() -> Self {
        Self::preset(15 * MINUTE, 12 * HOUR, 30 * MINUTE)
    }

    /// Long sessions with refresh tokens: 3 days of inactivity, 14 days overall; tokens of 15 minutes.
    /// Without refresh tokens, a pause of 7.5 minutes can end such a session.
    #[must_use]
    pub fn long_lived() -> Self {
        Self::preset(3 * DAY, 14 * DAY, 15 * MINUTE)
    }

    fn preset(
        idle_timeout: Duration,
        absolute_timeout: Duration,
        token_lifetime: Duration,
    ) -> Self {
        let renew_when = RenewWhen::Threshold(RENEW_THRESHOLD);
        Self {
            idle_timeout,
            absolute_timeout,
            token_lifetime,
            renews: true,
            renew_when,
            renew_min_interval: RENEW_MIN_INTERVAL,
            leeway: Duration::ZERO,
            max_clock_skew: MAX_CLOCK_SKEW,
            records_activity: true,
            untraced_activity: untraced_activity(
                token_lifetime,
                Some(renew_when),
                RENEW_MIN_INTERVAL,
            ),
            preset: Some((idle_timeout, absolute_timeout)),
        }
    }
}
