//! What an account's owner may decide about the sessions of the account.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::Policy;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// An account's own limits; `None` means the default of the session's policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// The idle timeout.
    pub idle: Option<Duration>,
    /// The absolute timeout.
    pub absolute: Option<Duration>,
}

impl Policy {
    /// This policy with an account's own limits in place of its own.
    #[must_use]
    pub fn overridden(&self, overrides: TimeoutOverrides) -> Self {
        Self {
            idle_timeout: overrides.idle.unwrap_or(self.idle_timeout),
            absolute_timeout: overrides.absolute.unwrap_or(self.absolute_timeout),
            ..self.clone()
        }
    }

    /// This policy with an account's own limits where they are shorter.
    #[must_use]
    pub fn capped(&self, overrides: TimeoutOverrides) -> Self {
        let shorter = |own: Duration, other: Option<Duration>| other.map_or(own, |it| own.min(it));
        Self {
            idle_timeout: shorter(self.idle_timeout, overrides.idle),
            absolute_timeout: shorter(self.absolute_timeout, overrides.absolute),
            ..self.clone()
        }
    }
}

/// What overrides may range over: by default 5 minutes to 30 days of idleness and 1 hour to 90
/// days in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideBounds {
    /// The shortest and the longest idle timeout.
    pub idle: RangeInclusive<Duration>,
    /// The shortest and the longest absolute timeout.
    pub absolute: RangeInclusive<Duration>,
}

impl Default for OverrideBounds {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { idle: secs(5 * MINUTE)..=secs(30 * DAY), absolute: secs(HOUR)..=secs(90 * DAY) }
    }
}

impl OverrideBounds {
    /// Checks `overrides` of `policy`: each within its bounds, and of what is then in force the
    /// idle timeout not longer than the absolute one.
    ///
    /// # Errors
    /// Every violation, by its field.
    pub fn check(
        &self,
        overrides: TimeoutOverrides,
        policy: &Policy,
    ) -> Result<(), Vec<OutOfBounds>> {
        let mut violations = Vec::new();
        let fields = [
            (OverrideField::Idle, overrides.idle, &self.idle),
            (OverrideField::Absolute, overrides.absolute, &self.absolute),
        ];
        for (field, value, bounds) in fields {
            let Some(value) = value else { continue };
            if value < *bounds.start() {
                violations.push(OutOfBounds {
                    field,
                    value,
                    bound: Bound::AtLeast(*bounds.start()),
                });
            } else if value > *bounds.end() {
                violations.push(OutOfBounds { field, value, bound: Bound::AtMost(*bounds.end()) });
            }
        }
        let effective = policy.overridden(overrides);
        let (idle, absolute) = (effective.idle_timeout(), effective.absolute_timeout());
        if violations.is_empty() && idle > absolute {
            violations.push(if let Some(value) = overrides.idle {
                let bound = Bound::AtMostAbsolute(absolute);
                OutOfBounds { field: OverrideField::Idle, value, bound }
            } else {
                let bound = Bound::AtLeastIdle(idle);
                OutOfBounds { field: OverrideField::Absolute, value: absolute, bound }
            });
        }
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }
}

/// Which of the two limits an override is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Which one.
    pub field: OverrideField,
    /// What it was to be.
    pub value: Duration,
    /// What it may be.
    pub bound: Bound,
}

/// The bound that an override is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// The least that the system allows.
    AtLeast(Duration),
    /// The most that the system allows.
    AtMost(Duration),
    /// The absolute timeout that would be in force.
    AtMostAbsolute(Duration),
    /// The idle timeout that would be in force.
    AtLeastIdle(Duration),
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = match self.field {
            OverrideField::Idle => "the idle timeout",
            OverrideField::Absolute => "the absolute timeout",
        };
        let length = |it: Duration| humantime::format_duration(it).to_string();
        write!(f, "{field} of {} must be ", length(self.value))?;
        match self.bound {
            Bound::AtLeast(least) => write!(f, "at least {}", length(least)),
            Bound::AtMost(most) => write!(f, "at most {}", length(most)),
            Bound::AtMostAbsolute(most) => {
                write!(f, "at most the absolute timeout in force, {}", length(most))
            }
            Bound::AtLeastIdle(least) => {
                write!(f, "at least the idle timeout in force, {}", length(least))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a table reads better with it")]
    const fn secs(secs: u64) -> Option<Duration> {
        Some(Duration::from_secs(secs))
    }

    fn long_lived() -> Policy {
        let builder = Policy::builder().idle_timeout(Duration::from_secs(3 * DAY));
        builder.absolute_timeout(Duration::from_secs(14 * DAY)).build().expect("it agrees")
    }

    fn checked(
        idle: Option<Duration>,
        absolute: Option<Duration>,
    ) -> Option<(OverrideField, Bound)> {
        let overrides = TimeoutOverrides { idle, absolute };
        let violations = OverrideBounds::default().check(overrides, &long_lived()).err()?;
        assert_eq!(violations.len(), 1);
        Some((violations[0].field, violations[0].bound))
    }

    #[test]
    fn bounds_are_inclusive() {
        use OverrideField::{Absolute, Idle};
        let at = Duration::from_secs;
        for (idle, absolute, expected) in [
            (None, None, None),
            (secs(300), secs(3600), None),
            (secs(30 * DAY), secs(90 * DAY), None),
            (secs(299), None, Some((Idle, Bound::AtLeast(at(300))))),
            (secs(30 * DAY + 1), secs(90 * DAY), Some((Idle, Bound::AtMost(at(30 * DAY))))),
            (secs(300), secs(3599), Some((Absolute, Bound::AtLeast(at(3600))))),
            (None, secs(90 * DAY + 1), Some((Absolute, Bound::AtMost(at(90 * DAY))))),
            (secs(7200), secs(7199), Some((Idle, Bound::AtMostAbsolute(at(7199))))),
            (secs(7200), secs(7200), None),
        ] {
            assert_eq!(checked(idle, absolute), expected, "{idle:?} {absolute:?}");
        }
    }

    #[test]
    fn a_partial_override_is_judged_by_what_is_in_force() {
        let at = Duration::from_secs;
        let idle = checked(secs(15 * DAY), None);
        assert_eq!(idle, Some((OverrideField::Idle, Bound::AtMostAbsolute(at(14 * DAY)))));
        let absolute = checked(None, secs(DAY));
        assert_eq!(absolute, Some((OverrideField::Absolute, Bound::AtLeastIdle(at(3 * DAY)))));
    }
}
