//! Durations in a sentence: `20 minutes`, `1 hour 30 minutes`.

use std::{fmt::Write, time::Duration};

/// `duration` in words, in whole seconds; a day is written in hours, as in "24 hours".
pub(super) fn in_words(duration: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = duration.as_secs();
    let days = if seconds < 2 * DAY { 0 } else { seconds / DAY };
    let rest = seconds - days * DAY;
    let parts = [
        (days, "day"),
        (rest / HOUR, "hour"),
        (rest % HOUR / MINUTE, "minute"),
        (rest % MINUTE, "second"),
    ];
    let mut words = String::new();
    for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
        let space = if words.is_empty() { "" } else { " " };
        let plural = if count == 1 { "" } else { "s" };
        let _ = write!(words, "{space}{count} {unit}{plural}");
    }
    if words.is_empty() { "less than a second".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_words() {
        for (millis, expected) in [
            (0, "less than a second"),
            (999, "less than a second"),
            (1_000, "1 second"),
            (90_000, "1 minute 30 seconds"),
            (1_200_000, "20 minutes"),
            (3_600_000, "1 hour"),
            (5_400_000, "1 hour 30 minutes"),
            (86_400_000, "24 hours"),
            (3 * 86_400_000, "3 days"),
            (2 * 86_400_000 + 3_600_000, "2 days 1 hour"),
        ] {
            assert_eq!(in_words(Duration::from_millis(millis)), expected);
        }
    }
}
