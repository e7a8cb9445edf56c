//! Builds a policy; the defaults of every setting.

use std::time::Duration;

use super::{Policy, PolicyError, RenewWhen, contradictions::contradictions};

const IDLE_TIMEOUT: Duration = Duration::from_secs(20 * 60);
const ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);
pub(super) const RENEW_THRESHOLD: f64 = 0.5;
pub(super) const RENEW_MIN_INTERVAL: Duration = Duration::from_secs(60);
pub(super) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5);

/// Builds a [`Policy`]; see [`Policy::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PolicyBuilder {
    /// `None` means the default, or the token lifetime if activity is not recorded.
    idle_timeout: Option<Duration>,
    absolute_timeout: Duration,
    token_lifetime: Duration,
    renews: bool,
    renew_when: RenewWhen,
    renew_min_interval: Duration,
    leeway: Duration,
    max_clock_skew: Duration,
    records_activity: bool,
    preset: Option<(Duration, Duration)>,
    unreadable: Vec<String>,
}

impl PolicyBuilder {
    pub(super) fn new() -> Self {
        Self {
            idle_timeout: None,
            absolute_timeout: ABSOLUTE_TIMEOUT,
            token_lifetime: TOKEN_LIFETIME,
            renews: true,
            renew_when: RenewWhen::Threshold(RENEW_THRESHOLD),
            renew_min_interval: RENEW_MIN_INTERVAL,
            leeway: Duration::ZERO,
            max_clock_skew: MAX_CLOCK_SKEW,
            records_activity: true,
            preset: None,
            unreadable: Vec::new(),
        }
    }

    pub(super) fn sliding(lifetime: Duration) -> Self {
        Self {
            token_lifetime: lifetime,
            // `Policy::sliding` takes no interval, so the default must fit every lifetime.
            renew_min_interval: RENEW_MIN_INTERVAL.min(lifetime / 2),
            records_activity: false,
            ..Self::new()
        }
    }

    pub(super) fn from_policy(policy: &Policy) -> Self {
        Self {
            idle_timeout: policy.records_activity.then_some(policy.idle_timeout),
            absolute_timeout: policy.absolute_timeout,
            token_lifetime: policy.token_lifetime,
            renews: policy.renews,
            renew_when: policy.renew_when,
            renew_min_interval: policy.renew_min_interval,
            leeway: policy.leeway,
            max_clock_skew: policy.max_clock_skew,
            records_activity: policy.records_activity,
            preset: policy.preset,
            unreadable: Vec::new(),
        }
    }

    /// Sets the longest time between two activities. Default 20 minutes; whole seconds, at least 1 s,
    /// at most the absolute timeout. It may be longer than the token lifetime. It cannot be set for a policy from
    /// [`Policy::sliding`].
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Sets the longest life of a session, counted from sign-in. Default 12 hours; whole seconds, at
    /// least 1 s. It cannot be switched off.
    pub fn absolute_timeout(mut self, timeout: Duration) -> Self {
        self.absolute_timeout = timeout;
        self
    }

    /// Sets the lifetime of a new access token. Default 1 hour; whole seconds, at least 1 s, at most
    /// the absolute timeout.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.token_lifetime = lifetime;
        self
    }

    /// Switches renewal on or off. Default on.
    pub fn renew(mut self, on: bool) -> Self {
        self.renews = on;
        self
    }

    /// Renews a token as soon as less than this share of its lifetime is left. Default 0.5; more than
    /// 0, at most 1.
    pub fn renew_threshold(mut self, share: f64) -> Self {
        self.renew_when = RenewWhen::Threshold(share);
        self
    }

    /// Renews a token at any age. [`PolicyBuilder::renew_min_interval`] still applies.
    pub fn renew_always(mut self) -> Self {
        self.renew_when = RenewWhen::Always;
        self
    }

    /// Sets the shortest time between two renewals of one session, and of one user. Default 60 s; at
    /// most the part of the token lifetime in which renewal is due. Zero switches both limits off;
    /// each of several parallel requests then renews the token.
    pub fn renew_min_interval(mut self, interval: Duration) -> Self {
        self.renew_min_interval = interval;
        self
    }

    /// Sets how long after its `exp` a token is still accepted. Default 0, at most 120 s. It does not
    /// apply to the absolute timeout.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Sets how far in the future a token's `nbf` and `iat` may be, and how far the clock of a node
    /// may be from that of a store that several nodes share. Default 5 s, at most 120 s.
    pub fn max_clock_skew(mut self, skew: Duration) -> Self {
        self.max_clock_skew = skew;
        self
    }

    /// Builds the policy.
    ///
    /// # Errors
    ///
    /// Lists every environment variable that could not be read and every contradiction: a setting
    /// out of its bounds, an idle timeout or a token lifetime longer than the absolute timeout, a
    /// minimum interval longer than the time in which renewal is due, anything over 100 years.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let idle_default = if self.records_activity { IDLE_TIMEOUT } else { self.token_lifetime };
        let (idle_timeout, absolute_timeout) =
            (self.idle_timeout.unwrap_or(idle_default), self.absolute_timeout);
        // Without a record of activity only a renewal is one.
        let untraced_activity = if self.records_activity {
            let renew_when = self.renews.then_some(self.renew_when);
            untraced_activity(self.token_lifetime, renew_when, self.renew_min_interval)
        } else {
            Duration::ZERO
        };
        let policy = Policy {
            idle_timeout,
            absolute_timeout,
            token_lifetime: self.token_lifetime,
            renews: self.renews,
            renew_when: self.renew_when,
            renew_min_interval: self.renew_min_interval,
            leeway: self.leeway,
            max_clock_skew: self.max_clock_skew,
            records_activity: self.records_activity,
            untraced_activity,
            preset: self
                .preset
                .filter(|&(idle, absolute)| idle_timeout <= idle && absolute_timeout <= absolute),
        };
        let mut problems = self.unreadable;
        problems.extend(contradictions(&policy));
        if problems.is_empty() { Ok(policy) } else { Err(PolicyError::new(problems)) }
    }

    /// Records a setting that could not be read, for the error of [`PolicyBuilder::build`].
    pub(super) fn unreadable(&mut self, problem: String) {
        self.unreadable.push(problem);
    }
}

/// [`Policy::untraced_activity`] with these settings. An illegal share is a contradiction, which is
/// reported elsewhere.
pub(super) fn untraced_activity(
    lifetime: Duration,
    renew_when: Option<RenewWhen>,
    min_interval: Duration,
) -> Duration {
    let share_before_renewal = renew_when.map_or(1.0, |when| 1.0 - when.share());
    let before_renewal = Duration::try_from_secs_f64(lifetime.as_secs_f64() * share_before_renewal);
    before_renewal.unwrap_or(lifetime).max(min_interval)
}
