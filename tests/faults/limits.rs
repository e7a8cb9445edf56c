//! How long things take and may take.

use std::time::Duration;

/// How long a request waits for its store.
pub(crate) const TIME_LIMIT: Duration = Duration::from_millis(250);

/// How soon a store that works again is used.
pub(crate) const RECOVERY: Duration = Duration::from_secs(2);

/// The network and the servers of the faults that have no other measure.
pub(crate) const SLOW: Duration = Duration::from_millis(200);

pub(crate) fn fault_time() -> Duration {
    let seconds = std::env::var("FAULT_SECONDS");
    Duration::from_secs(seconds.map_or(3, |text| text.parse().expect("a number of seconds")))
}
