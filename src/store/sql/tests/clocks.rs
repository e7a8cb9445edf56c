//! Nodes whose clocks are wrong.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use super::*;
use crate::{
    clock::{Clock, Sleep, SystemClock},
    store::{SessionStore as _, StoredSession, TouchOutcome},
};

const MINUTE: i64 = 60_000;

/// The system's clock, ahead by this many milliseconds.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn set(&self, millis: i64) {
        self.0.store(millis, Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let by = self.0.load(Relaxed);
        let span = Duration::from_millis(by.unsigned_abs());
        let now = SystemClock.now();
        if by < 0 { now - span } else { now + span }
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        let left = deadline.since(self.now());
        SystemClock.sleep_until(SystemClock.now() + left)
    }
}

fn touch_at(clock: &impl Clock) -> Touch {
    Touch::new(clock.now(), clock.now(), IDLE)
}

#[tokio::test]
async fn p33_a_node_with_a_wrong_clock_fails_as_in_an_outage_until_it_is_right() {
    let database = TestDatabase::postgres().await;
    for (wrong, message) in [
        (15 * MINUTE, "900 s ahead of the database's"),
        (-15 * MINUTE, "behind the database's"),
        (24 * 60 * MINUTE, "86400 s ahead of the database's"),
    ] {
        let clock = Ahead::default();
        let right = database.node(&SystemClock).await;
        let node = database.node(&clock).await;
        let sid = format!("s{wrong}");
        let touched = node.touch(key(&sid), touch_at(&clock)).await.expect("the clock is right");
        assert_eq!(touched, TouchOutcome::Active(None));
        node.flush().await.expect("the activity is written");

        clock.set(wrong);
        let error = node.0.sync().await.expect_err("the clock is wrong");
        let reason = std::error::Error::source(&error).expect("a reason").to_string();
        assert!(reason.contains(message), "{reason}");
        for _ in 0..2 {
            node.touch(key(&sid), touch_at(&clock)).await.expect_err("the clock is wrong");
            node.get(key(&sid)).await.expect_err("the clock is wrong");
        }
        let mut begun = record("wrong");
        begun.auth_time = clock.now();
        node.begin(begun, audit("session_started")).await.expect_err("the clock is wrong");
        node.refresh_state(query(&sid)).await.expect_err("the clock is wrong");
        node.rotate(rotation(&sid, 0, "first")).await.expect_err("the clock is wrong");
        node.revoke_all(of_user(Exempt::None)).await.expect_err("the clock is wrong");

        let stored = right.get(key(&sid)).await.expect("its clock is right");
        let StoredSession::Active(last_seen) = stored else { panic!("{stored:?}") };
        assert!(last_seen <= SystemClock.now(), "no activity by the wrong clock was written");

        clock.set(0);
        node.touch(key(&sid), touch_at(&clock)).await.expect("the clock is right again");
        node.refresh_state(query(&sid)).await.expect("the clock is right again");
    }
    database.remove().await;
}

#[tokio::test]
async fn p22_a_node_that_starts_with_a_wrong_clock_reads_all_revocations() {
    let database = TestDatabase::postgres().await;
    let right = database.node(&SystemClock).await;
    let scope = Scope::User(scopes().user);
    let now = SystemClock.now();
    let cutoff = RevocationCutoff::new(now, now + Duration::from_secs(3600));
    let revocation = BulkRevocation::new(scope, now, cutoff, audit("sessions_revoked_bulk"));
    right.revoke_all(revocation).await.expect("the store answers");

    let clock = Ahead::default();
    clock.set(24 * 60 * MINUTE);
    let node = database.unmigrated_node(&clock).await;
    node.0.sync().await.expect_err("the clock is wrong");
    clock.set(0);
    node.0.sync().await.expect("the clock is right");
    let revocations = node.revocations().expect("it exists");
    assert_eq!(revocations.cutoff_of(&scopes().user), Some(now));
    database.remove().await;
}

#[tokio::test]
async fn p33_the_permitted_skew_is_that_of_the_policies() {
    let database = TestDatabase::postgres().await;
    let clock = Ahead::default();
    let node = database.node(&clock).await;
    for (skew, ahead, is_accepted) in
        [(5, 4, true), (5, 30, false), (60, 30, true), (60, 90, false), (0, 2, false), (0, 0, true)]
    {
        node.set_max_clock_skew(Duration::from_secs(skew));
        for ahead in [ahead * 1000, ahead * -1000] {
            clock.set(ahead);
            assert_eq!(node.0.sync().await.is_ok(), is_accepted, "{skew} s, {ahead} ms");
            let touched = node.touch(key("s"), touch_at(&clock)).await;
            assert_eq!(touched.is_ok(), is_accepted, "{skew} s, {ahead} ms");
        }
    }
    database.remove().await;
}
