//! Policies that the common standards ask for.

use std::time::Duration;

use super::{Policy, RenewWhen};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Policies that the common standards ask for. Their tokens, but those of `long_lived`, live for twice the idle timeout and
/// are renewed in the second half, so that no pause within the idle timeout outlasts a token and
/// no restart of the activity store logs an active user out.
impl Policy {
    /// NIST SP 800-63B-4, section 2.2.3 (AAL2): 1 h of inactivity, 24 h overall; tokens of 2 h.
    #[must_use]
    pub fn nist_aal2() -> Self {
        Self::preset(HOUR, 24 * HOUR)
    }

    /// NIST SP 800-63B-4, section 2.3.3 (AAL3): 15 m of inactivity, 12 h overall; tokens of 30 m.
    #[must_use]
    pub fn nist_aal3() -> Self {
        Self::preset(15 * MINUTE, 12 * HOUR)
    }

    /// PCI DSS v4.0.1, requirement 8.2.8: 15 m of inactivity; tokens of 30 m. The standard names
    /// no longest session; 12 h, a working day, is this crate's choice.
    #[must_use]
    pub fn pci_dss() -> Self {
        Self::preset(15 * MINUTE, 12 * HOUR)
    }

    /// For sessions with refresh tokens: 3 d of inactivity, 14 d overall; tokens of 15 m, renewed
    /// in their second half.
    #[must_use]
    pub fn long_lived() -> Self {
        Self { token_lifetime: 15 * MINUTE, ..Self::preset(3 * DAY, 14 * DAY) }
    }

    fn preset(idle_timeout: Duration, absolute_timeout: Duration) -> Self {
        Self {
            idle_timeout,
            absolute_timeout,
            token_lifetime: idle_timeout * 2,
            renews: true,
            renew_when: RenewWhen::Threshold(0.5),
            renew_min_interval: MINUTE,
            leeway: Duration::ZERO,
            max_clock_skew: Duration::from_secs(5),
            records_activity: true,
        }
    }
}
