//! How long sessions are active, and when their tokens are renewed.

mod builder;
mod config;
mod contradictions;
mod describe;
mod duration;
mod error;
mod number_text;
mod overrides;
mod presets;
mod profiles;
mod renew_when;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::{
    builder::PolicyBuilder,
    duration::{DurationError, DurationErrorKind, parse_duration},
    error::PolicyError,
    overrides::{AllowedTimeout, OutOfBounds, OverrideBounds, OverrideField, TimeoutOverrides},
    profiles::Profiles,
    renew_when::RenewWhen,
};

/// How long sessions are active, and when their tokens are renewed.
///
/// [`PolicyBuilder::build`] refuses contradictions, so a policy that exists has none.
///
/// It deserializes from a map of the builder's settings, each optional: durations are strings
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
    /// The idle and the absolute timeout of the preset that this policy was made from, unless it is
    /// weaker than that.
    preset: Option<(Duration, Duration)>,
    /// [`Policy::untraced_activity`].
    untraced_activity: Duration,
}

impl Policy {
    /// Returns a builder with the defaults: an idle timeout of 20 minutes, an absolute timeout of 12
    /// hours, tokens of 1 hour.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::new()
    }

    /// Returns a policy that does not record activity: only renewals keep a session alive, so the
    /// idle timeout is the token lifetime.
    ///
    /// No activity is stored, which makes the idle timeout less exact: a request before renewal is
    /// due does not prolong the session, so a session can end after `threshold x lifetime` without
    /// activity. With the default threshold of 0.5 that is between half a lifetime and a whole one.
    /// Such a policy cannot be combined with refresh tokens.
    ///
    /// Other settings have the defaults of [`Policy::builder`], except that the minimum interval
    /// between renewals is half the lifetime if the lifetime is under 2 minutes. Change them with
    /// [`Policy::to_builder`].
    ///
    /// # Errors
    ///
    /// Lists every contradiction, as [`PolicyBuilder::build`] does.
    pub fn sliding(lifetime: Duration, absolute: Duration) -> Result<Self, PolicyError> {
        PolicyBuilder::sliding(lifetime).absolute_timeout(absolute).build()
    }

    /// Returns the default policy with the settings of the environment variables
    /// `{prefix}_IDLE_TIMEOUT` and so on; [`PolicyBuilder::env`] lists them.
    ///
    /// # Errors
    ///
    /// Lists every variable that cannot be read and every contradiction.
    pub fn from_env(prefix: &str) -> Result<Self, PolicyError> {
        Self::builder().env(prefix).build()
    }

    /// Returns a builder with the settings of this policy; one from [`Policy::sliding`] still records
    /// no activity.
    pub fn to_builder(&self) -> PolicyBuilder {
        PolicyBuilder::from_policy(self)
    }

    /// The longest time between two activities; the token lifetime if activity is not recorded.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    /// The longest life of a session, counted from sign-in.
    #[must_use]
    pub fn absolute_timeout(&self) -> Duration {
        self.absolute_timeout
    }

    /// The lifetime of a new access token, unless the absolute timeout is earlier.
    #[must_use]
    pub fn token_lifetime(&self) -> Duration {
        self.token_lifetime
    }

    /// Whether tokens are renewed.
    #[must_use]
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// When a token is due for renewal, if [`Policy::renews`].
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

    /// How far in the future a token's `nbf` and `iat` may be.
    #[must_use]
    pub fn max_clock_skew(&self) -> Duration {
        self.max_clock_skew
    }

    /// Whether activity is recorded: `false` only for a policy from [`Policy::sliding`].
    #[must_use]
    pub fn records_activity(&self) -> bool {
        self.records_activity
    }

    /// How long after its `iat` an activity leaves no trace in a token: until its renewal is due, at
    /// least the interval between two renewals; the whole lifetime without renewal.
    #[inline]
    pub(crate) const fn untraced_activity(&self) -> Duration {
        self.untraced_activity
    }

    /// Whether this is a preset, or was made from one with timeouts that are not longer.
    pub(crate) const fn is_preset(&self) -> bool {
        self.preset.is_some()
    }

    /// The last part of a token's lifetime, in which it is due for renewal.
    fn renewal_window(&self) -> Duration {
        self.token_lifetime.mul_f64(self.renew_when.share())
    }
}
