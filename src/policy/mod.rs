//! How long sessions live, and when their tokens are renewed.

mod builder;
mod config;
mod contradictions;
mod describe;
mod duration;
mod error;
mod overrides;
mod presets;
mod profiles;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{
    builder::PolicyBuilder,
    duration::{DurationError, parse_duration},
    error::PolicyError,
    overrides::{AllowedTimeout, OutOfBounds, OverrideBounds, OverrideField, TimeoutOverrides},
    profiles::Profiles,
};

/// How long sessions live, and when their tokens are renewed.
///
/// A policy that exists is free of contradictions: [`PolicyBuilder::build`] has refused the others.
///
/// It deserializes from a map with the builder's names, each optional: durations are texts
/// (`"20m"`, `"0.5h"`) or whole seconds, `renew` is a boolean, `renew_threshold` a number or
/// `"always"`. An unknown name or a contradiction is an error.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::Policy;
///
/// let policy = Policy::builder()
///     .idle_timeout(Duration::from_secs(20 * 60))
///     .absolute_timeout(Duration::from_secs(12 * 3600))
///     .token_lifetime(Duration::from_secs(3600))
///     .renew_threshold(0.5)
///     .build()?;
/// assert!(policy.renews());
///
/// let read: Policy = serde_json::from_str(r#"{"idle_timeout": "20m", "token_lifetime": 3600}"#)?;
/// assert_eq!(read, policy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    idle_timeout: Duration,
    absolute_timeout: Duration,
    token_lifetime: Duration,
    renews: bool,
    renew_when: RenewWhen,
    renew_min_interval: Duration,
    leeway: Duration,
    max_clock_skew: Duration,
    records_activity: bool,
}

/// From when on a token is due for renewal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RenewWhen {
    /// Once less than this share of its lifetime is left: over 0, at most 1.
    Threshold(f64),
    /// At any age.
    Always,
}

impl RenewWhen {
    /// The share of a token's lifetime in which it is due.
    fn share(self) -> f64 {
        match self {
            Self::Threshold(share) => share,
            Self::Always => 1.0,
        }
    }
}

impl Policy {
    /// A builder with the defaults: 20 m idle, 12 h absolute, tokens of 1 h.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    /// A policy without a record of activity: renewal alone keeps a session alive, so that the
    /// idle timeout is the token lifetime.
    ///
    /// Nothing is stored, at the price of accuracy. A request that comes before renewal is due
    /// leaves no trace, so an idle session can end after no more than `threshold x lifetime`: with
    /// the default threshold of 0.5, anywhere between half a lifetime and a whole one. It cannot be
    /// combined with refresh tokens.
    ///
    /// The rest is as [`Policy::builder`] has it, but for a lifetime under 2 m the minimum interval
    /// between renewals is half the lifetime. Change it by [`Policy::to_builder`].
    ///
    /// # Errors
    ///
    /// Lists every contradiction, as [`PolicyBuilder::build`] does.
    pub fn sliding(lifetime: Duration, absolute: Duration) -> Result<Self, PolicyError> {
        PolicyBuilder::sliding(lifetime).absolute_timeout(absolute).build()
    }

    /// The defaults, overlaid with the environment variables `{prefix}_IDLE_TIMEOUT` and so on,
    /// which [`PolicyBuilder::env`] lists.
    ///
    /// # Errors
    ///
    /// Lists every variable that cannot be read and every contradiction.
    pub fn from_env(prefix: &str) -> Result<Self, PolicyError> {
        Self::builder().env(prefix).build()
    }

    /// A builder that starts from this policy; one from [`Policy::sliding`] stays sliding.
    pub fn to_builder(&self) -> PolicyBuilder {
        PolicyBuilder::from_policy(self)
    }

    /// The longest time between two activities; without a record of activity the token lifetime.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// The longest life of a session, counted from sign-in.
    #[must_use]
    pub fn absolute_timeout(&self) -> Duration {
        self.absolute_timeout
    }

    /// How long a freshly minted token lives, unless the absolute timeout comes first.
    #[must_use]
    pub fn token_lifetime(&self) -> Duration {
        self.token_lifetime
    }

    /// Whether tokens are renewed at all.
    #[must_use]
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// From when on a token is due, where [`Policy::renews`].
    #[must_use]
    pub fn renew_when(&self) -> RenewWhen {
        self.renew_when
    }

    /// The shortest time between two renewals of a session, and of a user's sessions together;
    /// zero for no limit.
    #[must_use]
    pub fn renew_min_interval(&self) -> Duration {
        self.renew_min_interval
    }

    /// How long after its `exp` a token is still accepted.
    #[must_use]
    pub fn leeway(&self) -> Duration {
        self.leeway
    }

    /// How far in the future a token's `nbf` and `iat` may lie.
    #[must_use]
    pub fn max_clock_skew(&self) -> Duration {
        self.max_clock_skew
    }

    /// Whether the time of the last activity is kept: `false` for [`Policy::sliding`] alone.
    #[must_use]
    pub fn records_activity(&self) -> bool {
        self.records_activity
    }

    /// The last part of a token's life, in which it is due for renewal.
    fn renewal_window(&self) -> Duration {
        self.token_lifetime.mul_f64(self.renew_when.share())
    }
}
