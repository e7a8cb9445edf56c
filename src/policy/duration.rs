//! Parses and writes durations in units: `1500ms`, `20m`, `1h 30m`, `0.0333h`.

use std::{error::Error, fmt, time::Duration};

const NANOS_PER_MILLI: u128 = 1_000_000;

/// Digits of a fraction that are read. A year has 11 digits of milliseconds, so more do not matter.
const FRACTION_DIGITS: usize = 18;

/// Why a text is not a duration. The message does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationError(DurationErrorKind);

/// The kinds of [`DurationError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationErrorKind {
    /// The text is empty.
    Empty,
    /// A number of 0 or more is missing before a unit.
    NoNumber,
    /// A number has no unit.
    NoUnit,
    /// A unit is unknown.
    UnknownUnit,
    /// The duration is longer than 2^64 milliseconds.
    TooLong,
}

impl DurationError {
    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> DurationErrorKind {
        self.0
    }
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            DurationErrorKind::Empty => {
                "the duration is empty; write a number and a unit, like 90s"
            }
            DurationErrorKind::NoNumber => {
                "a number of 0 or more must come before each unit, like 90s, 20m or 0.5h"
            }
            DurationErrorKind::NoUnit => {
                "a number has no unit; write ms, s, m, h or d after it, like 90s or 20m"
            }
            DurationErrorKind::UnknownUnit => {
                "a unit is unknown; write ms, s, m, h or d, like 90s or 20m"
            }
            DurationErrorKind::TooLong => "the duration is too long to be represented",
        })
    }
}

impl Error for DurationError {}

const EMPTY: DurationError = DurationError(DurationErrorKind::Empty);
const NO_NUMBER: DurationError = DurationError(DurationErrorKind::NoNumber);
const NO_UNIT: DurationError = DurationError(DurationErrorKind::NoUnit);
const UNKNOWN_UNIT: DurationError = DurationError(DurationErrorKind::UnknownUnit);
const TOO_LONG: DurationError = DurationError(DurationErrorKind::TooLong);

/// Parses a duration: one or more numbers, each with its unit, added up.
///
/// Units are those of the `humantime` crate, in all their spellings: `ns`, `us`, `ms`, `s`, `m`,
/// `h`, `d`, `w`, `M` (30.44 days), `y` (365.25 days). Any number may be a decimal. The sum is
/// rounded to whole milliseconds; a duration that is not zero is rounded to at least 1 ms.
///
/// # Errors
///
/// A number without a unit (other than `0` alone), an unknown unit, a sign, text that is not a
/// number, and a duration over 2^64 milliseconds.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::policy::parse_duration;
///
/// assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
/// assert_eq!(parse_duration("0.0333h"), Ok(Duration::from_millis(119_880)));
/// assert!(parse_duration("90").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(EMPTY);
    }
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let (span, after) = take_span(rest)?;
        nanos = nanos.checked_add(span).ok_or(TOO_LONG)?;
        rest = after.trim_start();
    }
    round_to_millis(nanos)
}

/// Writes a duration to the millisecond, as [`parse_duration`] reads it: `1h 30m`.
pub(crate) fn readable(duration: Duration) -> String {
    let secs = duration.as_secs();
    // Standards and people give timeouts of up to two days in hours: "24h", not "1d".
    let days = if secs < 2 * 86_400 { 0 } else { secs / 86_400 };
    let hours = (secs - days * 86_400) / 3600;
    let parts = [
        (days, "d"),
        (hours, "h"),
        (secs / 60 % 60, "m"),
        (secs % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
    ];
    let written: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if written.is_empty() { "0s".to_owned() } else { written.join(" ") }
}

/// The nanoseconds of the first number and unit, and the text after them.
fn take_span(text: &str) -> Result<(u128, &str), DurationError> {
    let (whole, rest) = take_while(text, |c| c.is_ascii_digit());
    let (fraction, rest) = match rest.strip_prefix('.') {
        None => (None, rest),
        Some(rest) => {
            let (digits, rest) = take_while(rest, |c| c.is_ascii_digit());
            (Some(digits), rest)
        }
    };
    if whole.is_empty() || fraction == Some("") {
        return Err(NO_NUMBER);
    }
    let (unit, rest) = take_while(rest.trim_start(), char::is_alphabetic);
    let unit = nanos_of_unit(unit)?;

    // No product overflows: a number is under 2^64, a fraction under 2^60, the year under 2^55 ns.
    let whole: u64 = whole.parse().map_err(|_| TOO_LONG)?;
    let fraction = fraction.map_or(0, |digits| fraction_of(unit, digits));
    Ok((u128::from(whole) * unit + fraction, rest))
}

/// `0.{digits}` of `unit`, rounded down to the nanosecond.
fn fraction_of(unit: u128, digits: &str) -> u128 {
    let (numerator, denominator) =
        digits.bytes().take(FRACTION_DIGITS).fold((0_u128, 1_u128), |(above, below), digit| {
            (above * 10 + u128::from(digit - b'0'), below * 10)
        });
    unit * numerator / denominator
}

/// The nanoseconds of one `unit`. The names of units are those of humantime.
fn nanos_of_unit(unit: &str) -> Result<u128, DurationError> {
    if unit.is_empty() {
        return Err(NO_UNIT);
    }
    // humantime parses one unit only: its sum of several can panic near 2^64 seconds.
    humantime::parse_duration(&format!("1{unit}"))
        .map(|one| one.as_nanos())
        .map_err(|_| UNKNOWN_UNIT)
}

fn round_to_millis(nanos: u128) -> Result<Duration, DurationError> {
    let rounded = nanos.checked_add(NANOS_PER_MILLI / 2).ok_or(TOO_LONG)? / NANOS_PER_MILLI;
    // Zero switches some settings off, so a tiny duration must not become zero.
    let millis = if nanos > 0 { rounded.max(1) } else { 0 };
    u64::try_from(millis).map(Duration::from_millis).map_err(|_| TOO_LONG)
}

fn take_while(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !wanted(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_in_common_notations_are_parsed() {
        let written = [
            ("1500ms", 1500),
            ("90s", 90_000),
            ("20m", 1_200_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("2hours 1 min", 7_260_000),
            ("  20 m ", 1_200_000),
            ("0.5h", 1_800_000),
            ("0.0333h", 119_880),
            ("1.5h 0.5m", 5_430_000),
            ("0.1s", 100),
            ("0.333333333333333333333333333333s", 333),
            ("0s", 0),
            ("0", 0),
            ("0.0h", 0),
            ("1.4ms", 1),
            ("1.5ms", 2),
            ("1499us", 1),
            ("400us", 1),
            ("1ns", 1),
            ("100y", 3_155_760_000_000),
        ];
        for (text, millis) in written {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_not_a_duration_is_refused() {
        let refused = [
            ("", EMPTY),
            (" \t", EMPTY),
            ("20", NO_UNIT),
            ("0.5", NO_UNIT),
            ("00", NO_UNIT),
            ("1h 30", NO_UNIT),
            ("1 0s", NO_UNIT),
            ("-5s", NO_NUMBER),
            ("+5s", NO_NUMBER),
            ("NaN", NO_NUMBER),
            ("inf", NO_NUMBER),
            ("h", NO_NUMBER),
            (".5h", NO_NUMBER),
            ("1.h", NO_NUMBER),
            ("1h, 2m", NO_NUMBER),
            ("1h -5m", NO_NUMBER),
            ("5 parsecs", UNKNOWN_UNIT),
            ("1e3s", UNKNOWN_UNIT),
            ("1é", UNKNOWN_UNIT),
            ("99999999999999999999s", TOO_LONG),
            ("18446744073709551615y", TOO_LONG),
            ("18446744073709551615s 1000000000ns", TOO_LONG),
        ];
        for (text, error) in refused {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        let error = parse_duration("hunter2 secret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_duration_is_written_in_common_units() {
        let shown = [
            (0, "0s"),
            (1500, "1s 500ms"),
            (1_200_000, "20m"),
            (5_400_000, "1h 30m"),
            (86_400_000, "24h"),
            (176_400_000, "2d 1h"),
            (2_592_000_000, "30d"),
        ];
        for (millis, text) in shown {
            assert_eq!(readable(Duration::from_millis(millis)), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_duration(&text);
        }

        #[test]
        fn no_sequence_of_numbers_and_units_panics(text in "([0-9]{0,25}\\.?[0-9]{0,25} ?[a-zµ]{0,3} ?){0,6}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn durations_are_parsed_as_humantime_parses_them(
            numbers in prop::collection::vec((0_u32..100_000, "ms|s|sec|min|m|hours|h|d|days|w"), 1..4)
        ) {
            let spans: Vec<String> = numbers.iter().map(|(count, unit)| format!("{count}{unit}")).collect();
            let text = spans.join(" ");
            prop_assert_eq!(parse_duration(&text).ok(), humantime::parse_duration(&text).ok());
        }

        #[test]
        fn a_written_duration_is_parsed_back(millis: u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&readable(duration)), Ok(duration));
        }
    }
}
