//! The stopwatch, and whether somebody else had the core meanwhile.

use std::{fs, time::Instant};

/// How long `work` takes, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
pub(crate) fn time(work: impl FnOnce()) -> u128 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos()
}

/// The output of `work`, and whether it had its core to itself, as far as the scheduler says.
pub(crate) fn undisturbed<T>(work: impl FnOnce() -> T) -> (T, bool) {
    let before = waited();
    let output = work();
    (output, waited() == before)
}

/// How long this thread has waited for a core; nothing where the system does not say.
fn waited() -> Option<u64> {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    statistics.split_whitespace().nth(1)?.parse().ok()
}
