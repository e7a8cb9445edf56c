//! Instants in whole milliseconds.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The last second of the year 9999: the latest instant that a claim can have.
const MAX_CLAIM_SECS: u64 = 253_402_300_799;

/// An instant: milliseconds since the Unix epoch.
///
/// Arithmetic saturates, so that no claim of a token can cause an overflow. There is no `now()`:
/// an instant comes from a [`Clock`](crate::clock::Clock), from a claim, or from a [`SystemTime`].
///
/// `Display` writes RFC 3339 in UTC with whole seconds, and so does `Serialize`; `Deserialize`
/// reads RFC 3339 in UTC (`Z`), to the millisecond.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_sliding_session::Timestamp;
///
/// let start = Timestamp::from_secs(1_800_000_000);
/// let end = start + Duration::from_secs(60);
/// assert_eq!(end.since(start), Duration::from_secs(60));
/// assert_eq!(start.since(end), Duration::ZERO);
/// assert_eq!(end.to_string(), "2027-01-15T08:01:00Z");
/// assert_eq!(Timestamp::try_from(SystemTime::from(end)), Ok(end));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// The latest instant, later than any deadline.
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

    /// Whole seconds since the Unix epoch, rounded down, as in a claim.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This instant rounded down to a whole second, as in a claim.
    #[must_use]
    pub const fn floor_to_secs(self) -> Self {
        Self(self.0 - self.0 % 1000)
    }

    /// `precise` if it lies in the second that begins at this instant, a claim; else this instant.
    #[must_use]
    pub(crate) const fn refined_by(self, precise: Self) -> Self {
        match precise.0.checked_sub(self.0) {
            Some(..1000) => precise,
            _ => self,
        }
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The time from `earlier` to this instant in milliseconds, zero if `earlier` is later. Exact
    /// for every instant that a claim can have.
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds up to the year 9999 fit in an f64"
    )]
    pub(super) const fn millis_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64
    }

    /// Whether this instant is more than `grace` after `other`.
    #[must_use]
    pub(super) fn is_beyond(self, other: Self, grace: Duration) -> bool {
        // The first comparison is nearly always false and saves the sum.
        self > other && self > other + grace
    }

    /// Whether a claim can have this instant: it is not later than the year 9999.
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

/// Writes RFC 3339 in UTC with whole seconds. An instant later than the year 9999 is written as the
/// last second of that year.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds((*self).into()).fmt(f)
    }
}

/// Converts; an instant later than the year 9999 becomes the last millisecond of that year.
impl From<Timestamp> for SystemTime {
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_millis(at.0.min(MAX_CLAIM_SECS * 1000 + 999))
    }
}

/// Converts, rounding down to milliseconds.
///
/// # Errors
/// A time before 1970, or more than 2^64 milliseconds after it.
impl TryFrom<SystemTime> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(time: SystemTime) -> Result<Self, InvalidTimestamp> {
        let since_epoch = time.duration_since(UNIX_EPOCH).map_err(|_| InvalidTimestamp(()))?;
        u64::try_from(since_epoch.as_millis()).map(Self).map_err(|_| InvalidTimestamp(()))
    }
}

/// A time that a [`Timestamp`] cannot represent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp(());

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is before 1970 or too late to be represented")
    }
}

impl Error for InvalidTimestamp {}

impl Serialize for Timestamp {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_str(Rfc3339)
    }
}

struct Rfc3339;

impl de::Visitor<'_> for Rfc3339 {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time of RFC 3339 in UTC, such as \"2027-01-15T08:00:00Z\"")
    }

    fn visit_str<E>(self, text: &str) -> Result<Timestamp, E>
    where
        E: de::Error,
    {
        humantime::parse_rfc3339(text)
            .ok()
            .and_then(|time| Timestamp::try_from(time).ok())
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}ms)", self.0)
    }
}

/// Whole milliseconds; saturates.
const fn millis(duration: Duration) -> u64 {
    let whole = duration.as_secs().saturating_mul(1000);
    whole.saturating_add(duration.subsec_millis() as u64)
}

#[cfg(test)]
mod tests;
