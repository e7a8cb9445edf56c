//! The timeouts that an account's owner may choose in place of the policy's.

use std::{error::Error, fmt, ops::RangeInclusive, time::Duration};

use super::{Policy, duration::readable};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// An account's own timeouts. `None` means the timeout of the session's policy.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::policy::TimeoutOverrides;
///
/// let overrides = TimeoutOverrides::new().idle(Duration::from_secs(3600));
/// assert_eq!((overrides.idle, overrides.absolute), (Some(Duration::from_secs(3600)), None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutOverrides {
    /// The idle timeout.
    pub idle: Option<Duration>,
    /// The absolute timeout.
    pub absolute: Option<Duration>,
}

impl TimeoutOverrides {
    /// Overrides nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { idle: None, absolute: None }
    }

    /// Overrides the idle timeout.
    #[must_use]
    pub const fn idle(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Overrides the absolute timeout.
    #[must_use]
    pub const fn absolute(mut self, timeout: Duration) -> Self {
        self.absolute = Some(timeout);
        self
    }
}

impl Policy {
    /// Returns this policy with the timeouts of `overrides` in place of its own.
    #[must_use]
    pub(super) fn overridden(&self, overrides: TimeoutOverrides) -> Self {
        let absolute_timeout = overrides.absolute.unwrap_or(self.absolute_timeout);
        let idle_timeout = overrides.idle.unwrap_or(self.idle_timeout).min(absolute_timeout);
        Self { idle_timeout, absolute_timeout, ..self.clone() }
    }

    /// Returns this policy with the timeouts of `overrides` where they are shorter than its own.
    #[must_use]
    pub(super) fn shortened(&self, overrides: TimeoutOverrides) -> Self {
        self.overridden(TimeoutOverrides {
            idle: overrides.idle.map(|idle| idle.min(self.idle_timeout)),
            absolute: overrides.absolute.map(|absolute| absolute.min(self.absolute_timeout)),
        })
    }
}

/// The ranges that [`TimeoutOverrides`] must lie in: by default 5 minutes to 30 days for the idle
/// timeout, 1 hour to 90 days for the absolute timeout.
///
/// The owner of an account cannot weaken the policy of the service: a bound that is longer than the
/// policy's timeout counts as that timeout, unless
/// [`dangerous_longer_than_policy`](Self::dangerous_longer_than_policy) is called.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OverrideBounds {
    /// The shortest and the longest idle timeout.
    pub idle: RangeInclusive<Duration>,
    /// The shortest and the longest absolute timeout.
    pub absolute: RangeInclusive<Duration>,
    pub(super) longer_than_policy: bool,
}

impl Default for OverrideBounds {
    fn default() -> Self {
        Self::new()
    }
}

impl OverrideBounds {
    /// The default bounds.
    #[must_use]
    pub const fn new() -> Self {
        const fn secs(secs: u64) -> Duration {
            Duration::from_secs(secs)
        }
        Self {
            idle: RangeInclusive::new(secs(5 * MINUTE), secs(30 * DAY)),
            absolute: RangeInclusive::new(secs(HOUR), secs(90 * DAY)),
            longer_than_policy: false,
        }
    }

    /// Sets the shortest and the longest idle timeout. The shortest must be at least 1 s.
    #[must_use]
    pub fn idle(mut self, range: RangeInclusive<Duration>) -> Self {
        self.idle = range;
        self
    }

    /// Sets the shortest and the longest absolute timeout. The shortest must be at least 1 s.
    #[must_use]
    pub fn absolute(mut self, range: RangeInclusive<Duration>) -> Self {
        self.absolute = range;
        self
    }

    /// Lets the owner of an account choose timeouts that are longer than those of the policy
    /// `normal`, up to the upper bounds. Off by default. It cannot be combined with a preset, such as
    /// [`Policy::pci_dss`].
    #[must_use]
    pub const fn dangerous_longer_than_policy(mut self) -> Self {
        self.longer_than_policy = true;
        self
    }
}

impl OverrideBounds {
    /// Whether overrides may be longer than the timeouts of the policy.
    pub(crate) const fn allows_longer_than_policy(&self) -> bool {
        self.longer_than_policy
    }

    /// Describes the timeouts of the upper bounds that are longer than those of `policy`; none unless
    /// overrides may be longer.
    pub(crate) fn longer_than(&self, policy: &Policy) -> Option<String> {
        let longer = |name: &str, bound: Duration, timeout: Duration| {
            (bound > timeout).then(|| format!("{name} timeout of {}", readable(bound)))
        };
        let idle = longer("an idle", *self.idle.end(), policy.idle_timeout);
        let absolute = longer("an absolute", *self.absolute.end(), policy.absolute_timeout);
        let texts: Vec<_> = idle.into_iter().chain(absolute).collect();
        (self.longer_than_policy && !texts.is_empty()).then(|| texts.join(" and "))
    }

    /// Returns these bounds, with those that are longer than the timeout of `policy` cut to it unless
    /// overrides may be longer.
    #[must_use]
    pub(crate) fn for_policy(self, policy: &Policy) -> Self {
        if self.longer_than_policy {
            return self;
        }
        let cut = |range: RangeInclusive<Duration>, longest: Duration| {
            let (min, max) = range.into_inner();
            min.min(longest)..=max.min(longest)
        };
        Self {
            idle: cut(self.idle, policy.idle_timeout),
            absolute: cut(self.absolute, policy.absolute_timeout),
            ..self
        }
    }

    /// Checks that each timeout of `overrides` is within its bounds, and that the idle timeout in
    /// effect under `policy` is not longer than the absolute one.
    ///
    /// # Errors
    /// Lists every timeout that is out of bounds.
    pub(crate) fn check(
        &self,
        overrides: TimeoutOverrides,
        policy: &Policy,
    ) -> Result<(), Vec<OutOfBounds>> {
        let mut errors = Vec::new();
        let fields = [
            (OverrideField::Idle, overrides.idle, &self.idle),
            (OverrideField::Absolute, overrides.absolute, &self.absolute),
        ];
        for (field, value, bounds) in fields {
            let Some(value) = value else { continue };
            if value < *bounds.start() {
                errors.push(OutOfBounds {
                    field,
                    value,
                    allowed: AllowedTimeout::AtLeast(*bounds.start()),
                });
            } else if value > *bounds.end() {
                errors.push(OutOfBounds {
                    field,
                    value,
                    allowed: AllowedTimeout::AtMost(*bounds.end()),
                });
            } else if value.subsec_nanos() > 0 {
                errors.push(OutOfBounds { field, value, allowed: AllowedTimeout::WholeSeconds });
            }
        }
        let idle = overrides.idle.unwrap_or(policy.idle_timeout);
        let absolute = overrides.absolute.unwrap_or(policy.absolute_timeout);
        if errors.is_empty() && idle > absolute {
            errors.push(if let Some(value) = overrides.idle {
                let allowed = AllowedTimeout::AtMostAbsolute(absolute);
                OutOfBounds { field: OverrideField::Idle, value, allowed }
            } else {
                let allowed = AllowedTimeout::AtLeastIdle(idle);
                OutOfBounds { field: OverrideField::Absolute, value: absolute, allowed }
            });
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// Which timeout an override replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverrideField {
    /// The idle timeout.
    Idle,
    /// The absolute timeout.
    Absolute,
}

/// An override that is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfBounds {
    /// The timeout.
    pub field: OverrideField,
    /// The value that was asked for.
    pub value: Duration,
    /// The values that are allowed.
    pub allowed: AllowedTimeout,
}

/// The values that a timeout may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllowedTimeout {
    /// At least this: the lower bound.
    AtLeast(Duration),
    /// At most this: the upper bound.
    AtMost(Duration),
    /// Whole seconds, as tokens contain them.
    WholeSeconds,
    /// At most the absolute timeout that would be in effect, which is this.
    AtMostAbsolute(Duration),
    /// At least the idle timeout that would be in effect, which is this.
    AtLeastIdle(Duration),
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.field {
            OverrideField::Idle => "idle timeout",
            OverrideField::Absolute => "absolute timeout",
        };
        write!(f, "Invalid {field} of {}: ", readable(self.value))?;
        match self.allowed {
            AllowedTimeout::AtLeast(min) => write!(f, "at least {}.", readable(min)),
            AllowedTimeout::AtMost(max) => write!(f, "at most {}.", readable(max)),
            AllowedTimeout::WholeSeconds => f.write_str("a whole number of seconds."),
            AllowedTimeout::AtMostAbsolute(max) => {
                write!(f, "at most the absolute timeout, {}.", readable(max))
            }
            AllowedTimeout::AtLeastIdle(min) => {
                write!(f, "at least the idle timeout, {}.", readable(min))
            }
        }
    }
}

impl Error for OutOfBounds {}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it shortens the table")]
    const fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    fn long_lived() -> Policy {
        let builder = Policy::builder().idle_timeout(Duration::from_secs(3 * DAY));
        builder
            .absolute_timeout(Duration::from_secs(14 * DAY))
            .build()
            .expect("the policy is valid")
    }

    fn checked(
        idle: Option<Duration>,
        absolute: Option<Duration>,
    ) -> Option<(OverrideField, AllowedTimeout)> {
        let overrides = TimeoutOverrides { idle, absolute };
        let bounds = OverrideBounds::new().dangerous_longer_than_policy().for_policy(&long_lived());
        let errors = bounds.check(overrides, &long_lived()).err()?;
        assert_eq!(errors.len(), 1);
        Some((errors[0].field, errors[0].allowed))
    }

    #[test]
    fn bounds_are_inclusive() {
        use OverrideField::{Absolute, Idle};
        let at = Duration::from_secs;
        for (idle, absolute, expected) in [
            (None, None, None),
            (secs(300), secs(3600), None),
            (secs(30 * DAY), secs(90 * DAY), None),
            (secs(299), None, Some((Idle, AllowedTimeout::AtLeast(at(300))))),
            (
                secs(30 * DAY + 1),
                secs(90 * DAY),
                Some((Idle, AllowedTimeout::AtMost(at(30 * DAY)))),
            ),
            (secs(300), secs(3599), Some((Absolute, AllowedTimeout::AtLeast(at(3600))))),
            (None, secs(90 * DAY + 1), Some((Absolute, AllowedTimeout::AtMost(at(90 * DAY))))),
            (secs(7200), secs(7199), Some((Idle, AllowedTimeout::AtMostAbsolute(at(7199))))),
            (secs(7200), secs(7200), None),
        ] {
            assert_eq!(checked(idle, absolute), expected, "{idle:?} {absolute:?}");
        }
    }

    #[test]
    fn bounds_longer_than_the_policy_are_cut_to_it() {
        let at = Duration::from_secs;
        let policy = |idle: u64, absolute: u64| {
            let builder = Policy::builder().idle_timeout(at(idle)).absolute_timeout(at(absolute));
            builder.token_lifetime(at(120)).build().expect("the policy is valid")
        };
        for (idle, absolute, idle_bounds, absolute_bounds) in [
            (3 * DAY, 14 * DAY, 300..=3 * DAY, HOUR..=14 * DAY),
            (40 * DAY, 100 * DAY, 300..=30 * DAY, HOUR..=90 * DAY),
            (200, 1800, 200..=200, 1800..=1800),
        ] {
            let bounds = OverrideBounds::new().for_policy(&policy(idle, absolute));
            assert_eq!(bounds.idle, at(*idle_bounds.start())..=at(*idle_bounds.end()));
            assert_eq!(bounds.absolute, at(*absolute_bounds.start())..=at(*absolute_bounds.end()));
        }
    }

    #[test]
    fn overrides_shorten_the_idle_timeout_to_the_absolute_one() {
        let overrides = TimeoutOverrides::new().absolute(Duration::from_secs(DAY));
        for policy in [long_lived().overridden(overrides), long_lived().shortened(overrides)] {
            assert_eq!(policy.idle_timeout(), policy.absolute_timeout());
        }
    }

    #[test]
    fn a_partial_override_is_checked_against_the_effective_timeouts() {
        let at = Duration::from_secs;
        let idle = checked(secs(15 * DAY), None);
        assert_eq!(idle, Some((OverrideField::Idle, AllowedTimeout::AtMostAbsolute(at(14 * DAY)))));
        let absolute = checked(None, secs(DAY));
        assert_eq!(
            absolute,
            Some((OverrideField::Absolute, AllowedTimeout::AtLeastIdle(at(3 * DAY))))
        );
    }
}
