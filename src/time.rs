//! Instants as the rules see them: whole milliseconds, handed in by the caller.

use std::{fmt, time::Duration};

/// The last second of the year 9999, the latest instant a claim may name.
const MAX_CLAIM_SECS: u64 = 253_402_300_799;

/// An instant: milliseconds since the Unix epoch.
///
/// All arithmetic saturates, so that no claim, however hostile, overflows. There is no `now()`
/// here: an instant comes from a [`Clock`](crate::clock::Clock) or from a claim.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::Timestamp;
///
/// let begun = Timestamp::from_secs(1_800_000_000);
/// let over = begun + Duration::from_secs(60);
/// assert_eq!(over.since(begun), Duration::from_secs(60));
/// assert_eq!(begun.since(over), Duration::ZERO);
/// assert_eq!(over.to_string(), "2027-01-15T08:01:00Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// An instant that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The instant `secs` seconds after the Unix epoch; saturates.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down: how a claim is written.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The instant rounded down to a whole second: what a claim keeps of it.
    #[must_use]
    pub const fn floor_to_secs(self) -> Self {
        Self(self.0 - self.0 % 1000)
    }

    /// The time from `earlier` to this instant; zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As [`since`](Self::since), in milliseconds, for shares of a lifetime. Exact for what claims
    /// may name.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds until the year 9999 fit")]
    pub(super) const fn millis_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64
    }

    /// Whether this instant is more than `grace` after `other`.
    #[must_use]
    pub(super) fn is_beyond(self, other: Self, grace: Duration) -> bool {
        // Nearly never the later one at all, which needs no sum.
        self > other && self > other + grace
    }

    /// Whether a claim may name this instant: not later than the year 9999.
    #[must_use]
    pub(crate) const fn fits_a_claim(self) -> bool {
        self.as_secs() <= MAX_CLAIM_SECS
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(millis(rhs)))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(millis(rhs)))
    }
}

/// RFC 3339 in UTC, whole seconds; an instant beyond the year 9999 shows as its last second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = Duration::from_secs(self.as_secs().min(MAX_CLAIM_SECS));
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since_epoch).fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}ms)", self.0)
    }
}

/// A duration as whole milliseconds, saturating.
const fn millis(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1000);
    whole.saturating_add(duration.subsec_millis() as u64)
}

#[cfg(test)]
mod tests;
