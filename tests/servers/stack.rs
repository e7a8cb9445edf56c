//! The stack that the servers run.

use std::time::Duration;

use tower_sliding_session::{Policy, RejectionKind, sessions::SlidingSessionsBuilder};

use crate::test_stack::TestStack;

/// A token of one hour is due for renewal after this time.
pub(crate) const RENEWAL_DUE: Duration = Duration::from_secs(31 * 60);
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// A stack with [`IDLE_TIMEOUT`].
pub(crate) fn stack(
    set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
) -> TestStack {
    let policy =
        Policy::builder().idle_timeout(IDLE_TIMEOUT).build().expect("a legal configuration");
    TestStack::with(policy, set)
}

/// The title of a rejection by this stack: that of an idle session names the timeout.
pub(crate) fn title(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::SessionExpiredIdle => {
            "The session expired after 45 minutes without activity."
        }
        kind => kind.title(),
    }
}
