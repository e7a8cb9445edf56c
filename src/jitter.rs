//! Random pauses: nodes and clients that lost a server at the same time do not come back at the same time.

use std::time::Duration;

/// Returns a random duration below `most`, in whole milliseconds.
pub(crate) fn jitter(most: Duration) -> Duration {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random % millis.max(1))
}
