//! The stack under test: sessions on a clock that the test moves.

use std::time::Duration;

use tower_sliding_session::{
    JwtKeys, ManualClock, Policy, SlidingSessions, Timestamp, sessions::SlidingSessionsBuilder,
};

/// A token of one hour is due for renewal from its thirtieth minute on.
pub(crate) const RENEWAL_DUE: Duration = Duration::from_secs(31 * 60);
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(45 * 60);

pub(crate) struct Stack {
    pub(crate) clock: ManualClock,
    pub(crate) sessions: SlidingSessions,
}

impl Stack {
    pub(crate) fn new(
        settings: impl FnOnce(SlidingSessionsBuilder) -> SlidingSessionsBuilder,
    ) -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
        let policy = Policy::builder().idle_timeout(IDLE_TIMEOUT).build().expect("a legal policy");
        let keys = JwtKeys::hs256([7; 32]).expect("a long secret");
        let builder = SlidingSessions::builder(keys, policy).clock(clock.clone());
        let sessions = settings(builder).build().expect("legal settings");
        Self { clock, sessions }
    }

    /// The `Authorization` value of a session that starts now.
    pub(crate) async fn sign_in(&self) -> String {
        let grant = self.sessions.start("ada").await.expect("a session");
        format!("Bearer {}", grant.access_token())
    }
}
