//! A stopwatch that knows whether its thread waited for a core.

use std::{fs, time::Instant};

/// The time that `work` takes, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
pub(crate) fn time(work: impl FnOnce()) -> u128 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos()
}

/// The output of `work`, and whether its thread never waited for a core (Linux; else true).
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let before = waited();
    let output = work();
    (output, waited() == before)
}

/// The time that this thread has waited for a core, if the system reports it.
fn waited() -> Option<u64> {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split_whitespace().nth(1)?.parse().ok()
}
