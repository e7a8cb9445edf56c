//! The stack in axum, hyper, tonic and tower-http: over TCP, and axum's ready-made routes.

#[path = "../test_stack/mod.rs"]
mod test_stack;

mod axum_tcp;
mod client;
mod hyper_server;
mod hyper_tcp;
mod router;
mod tonic_http2;
mod tower_http;

use std::time::Duration;

use tower_sliding_session::{Policy, sessions::SlidingSessionsBuilder};

use self::test_stack::TestStack;

/// A token of one hour is due for renewal after this time.
const RENEWAL_DUE: Duration = Duration::from_secs(31 * 60);
const IDLE_TIMEOUT: Duration = Duration::from_secs(45 * 60);

/// A stack with [`IDLE_TIMEOUT`].
fn stack(set: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder) -> TestStack {
    let policy = Policy::builder().idle_timeout(IDLE_TIMEOUT).build().expect("a legal policy");
    TestStack::with(policy, set)
}
