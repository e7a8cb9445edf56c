//! A node whose clock is wrong.

use std::{sync::Arc, time::Duration};

use tower_sliding_session::{
    Clock, JwtKeys, ManualClock, Policy, RejectionKind, SlidingSessions, SystemClock, Timestamp,
    clock::Sleep,
    store::{SessionStore as _, SqlStore},
};

use crate::{
    client::{ada, asked},
    test_stack::{SECRET, TestStack},
};

/// A clock that the store compares with its own.
struct TimeOfDay(ManualClock);

impl Clock for TimeOfDay {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        self.0.sleep_until(deadline)
    }
}

#[tokio::test]
async fn p33_an_attempt_by_a_clock_that_is_ahead_counts_at_the_time_of_the_store() {
    let secs = Duration::from_secs;
    let policy = Policy::builder().idle_timeout(secs(60)).build().expect("a legal policy");
    // Five seconds are permitted. After more this node has not read the store for so long.
    let (outage, idle) = (RejectionKind::StoreUnavailable, RejectionKind::SessionExpiredIdle);
    for (ahead, later, expected) in [(4, 59, [None; 2]), (30, 43, [Some(outage), Some(idle)])] {
        let clock = ManualClock::new(SystemClock.now());
        let time_of_day = || TimeOfDay(clock.clone());
        let store = SqlStore::at(crate::postgres_server::schema()).clock(time_of_day());
        let store = Arc::new(store.connect().await.expect("the database is reachable"));
        store.migrate().await.expect("the tables are created");
        let keys = JwtKeys::hs256(SECRET).expect("a secret of at least 32 bytes");
        let sessions = SlidingSessions::builder(keys, policy.clone()).clock(time_of_day());
        let sessions = sessions.lifecycle_store(Arc::clone(&store)).build().expect("legal");
        let stack = TestStack { sessions, clock };
        let grant = ada(&stack).await;
        assert_eq!(asked(&stack, &grant).await, None);

        stack.clock.advance(secs(ahead));
        let answer = (ahead > 5).then_some(outage);
        assert_eq!(asked(&stack, &grant).await, answer, "{ahead} s ahead");
        // The attempt counts from about the sign-in.
        store.set_max_clock_skew(secs(120));
        stack.clock.advance(secs(later));
        for expected in expected {
            assert_eq!(asked(&stack, &grant).await, expected, "{ahead} s ahead");
            stack.clock.advance(secs(10));
        }
    }
}
