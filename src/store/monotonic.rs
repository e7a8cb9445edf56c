//! The clock of Tokio's timers: how long a server has been silent, whatever the time of day.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Returns what that clock shows `duration` from now. Panics outside of a Tokio runtime.
pub(super) fn after(duration: Duration) -> Instant {
    sleep(duration).deadline()
}
