//! Nodes whose clocks are wrong.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use super::*;
use crate::{
    clock::{Clock, Sleep, SystemClock},
    identity::Scopes,
    policy::TimeoutOverrides,
    store::{
        CallerSession, OverridesChange, Rotated, SessionStore as _, StoredSession, TouchOutcome,
    },
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
        (15 * MINUTE, "900 s ahead of the store's"),
        (-15 * MINUTE, "behind the store's"),
        (24 * 60 * MINUTE, "86400 s ahead of the store's"),
    ] {
        let clock = Ahead::default();
        let right = database.node(&SystemClock).await;
        let node = database.node(&clock).await;
        let sid = format!("s{wrong}");
        let touched = node.touch(keys(&sid), touch_at(&clock)).await.expect("the clock is right");
        assert_eq!(touched, TouchOutcome::Active(None));
        node.flush().await.expect("the activity is written");

        clock.set(wrong);
        let error = node.0.sync().await.expect_err("the clock is wrong");
        let reason = std::error::Error::source(&error).expect("a reason").to_string();
        assert!(reason.contains(message), "{reason}");
        for _ in 0..2 {
            node.touch(keys(&sid), touch_at(&clock)).await.expect_err("the clock is wrong");
            node.get(keys(&sid)).await.expect_err("the clock is wrong");
        }
        let mut begun = record("wrong");
        begun.auth_time = clock.now();
        node.begin(SignIn::new(begun, audit("session_started")))
            .await
            .expect_err("the clock is wrong");
        node.refresh_state(query(&sid)).await.expect_err("the clock is wrong");
        node.rotate(rotation(&sid, 0, "first")).await.expect_err("the clock is wrong");
        node.revoke_all(of_user(Exempt::None)).await.expect_err("the clock is wrong");

        let stored = right.get(keys(&sid)).await.expect("its clock is right");
        let StoredSession::Active(last_seen) = stored else { panic!("{stored:?}") };
        assert!(last_seen <= SystemClock.now(), "no activity by the wrong clock was written");

        clock.set(0);
        node.touch(keys(&sid), touch_at(&clock)).await.expect("the clock is right again");
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
            let touched = node.touch(keys("s"), touch_at(&clock)).await;
            assert_eq!(touched.is_ok(), is_accepted, "{skew} s, {ahead} ms");
        }
    }
    database.remove().await;
}

/// The longest skew that a node permits by default.
const SKEW: Duration = Duration::from_secs(5);

/// The record of a session that begins at `now`.
fn record_at(sid: &str, now: Timestamp) -> SessionRecord {
    SessionRecord {
        auth_time: now,
        epoch: now,
        last_seen: now,
        ends_at: now + 1000 * DAY,
        ..record(sid)
    }
}

fn rotation_at(sid: &str, now: Timestamp) -> Rotation {
    let successors = SuccessorIds { access: "access".to_owned(), refresh: "refresh".to_owned() };
    let exchange = TokenExchange { at: now, successors: Some(successors) };
    Rotation { exchange, record: record_at(sid, now), ..rotation(sid, 0, "first") }
}

/// Without its background task only requests notice that its clock has changed.
async fn node_without_task(database: &TestDatabase, clock: &Ahead, sync: Duration) -> SqlStore {
    let node = SqlStore::at(&database.address).clock(clock.clone()).sync_interval(sync);
    let node = node.connect().await.expect("the database is reachable");
    node.migrate().await.expect("the migration succeeds");
    node.0.task.get().expect("it exists").abort();
    node
}

#[tokio::test]
async fn p33_a_clock_that_jumps_between_two_readings_does_no_harm() {
    let database = TestDatabase::postgres().await;
    let clock = Ahead::default();
    let node = node_without_task(&database, &clock, SYNC).await;
    begin(&node, "s").await;
    let succeeds = async |call| {
        let now = clock.now();
        match call {
            0 => node.touch(keys("s"), touch_at(&clock)).await.is_ok(),
            1 => node.get(keys("s")).await.is_ok(),
            2 => node
                .begin(SignIn::new(record_at("new", now), audit("session_started")))
                .await
                .is_ok(),
            3 => node.refresh_state(query("s")).await.is_ok(),
            4 => node.rotate(rotation_at("s", now)).await.is_ok(),
            5 => {
                node.revoke(tombstone(key("old"), now + DAY), audit("session_ended")).await.is_ok()
            }
            6 => node.write_tombstone(tombstone(key("old"), now + DAY)).await.is_ok(),
            7 => node.revoke_all(of_user(Exempt::None)).await.is_ok(),
            8 => {
                let (account, old) = (key("an account"), TimeoutOverrides::default());
                let change = OverridesChange { account, old, new: old, audit: audit("changed") };
                node.set_overrides(change).await.is_ok()
            }
            _ => node.flush().await.is_ok(),
        }
    };
    let mut harmful = Vec::new();
    for call in 0..10 {
        for jump in [4 * MINUTE, -4 * MINUTE, 15 * MINUTE, -24 * 60 * MINUTE] {
            clock.set(0);
            node.0.sync().await.expect("the clock is right");
            clock.set(jump);
            if succeeds(call).await {
                harmful.push((call, jump));
            }
        }
    }
    assert_eq!(harmful, [], "calls by a clock that is so many milliseconds ahead");
    clock.set(0);
    for call in 0..10 {
        assert!(succeeds(call).await, "call {call} by a clock that is right again");
    }
    database.remove().await;
}

/// Each session's last activity in the database, as another node reads it.
async fn last_seen(database: &TestDatabase, sid: &str) -> Timestamp {
    let node = database.node(&SystemClock).await;
    match node.get(keys(sid)).await.expect("the store answers") {
        StoredSession::Active(at) => at,
        stored => panic!("{sid}: {stored:?}"),
    }
}

#[tokio::test]
async fn p33_no_activity_is_written_that_is_later_than_the_store_by_more_than_the_skew() {
    let database = TestDatabase::postgres().await;
    let clock = Ahead::default();
    // Its next reading is an hour away.
    let node = node_without_task(&database, &clock, Duration::from_secs(3600)).await;
    let begun = record_at("rotated", SystemClock.now());
    node.begin(SignIn::new(begun, audit("session_started"))).await.expect("the session begins");
    for (generation, ahead) in [(0, -4000), (1, 4000), (2, 15 * MINUTE)] {
        clock.set(ahead);
        let now = clock.now();
        let name = |sid: &str| format!("{sid} {ahead}");
        let begun = record_at(&name("begun"), now);
        node.begin(SignIn::new(begun, audit("session_started"))).await.expect("the session begins");
        for sid in ["touched", "also touched"] {
            node.touch(keys(sid), Touch::new(now, now, IDLE)).await.expect("it is active");
        }
        node.flush().await.expect("the activities are written");
        for (sid, generation) in [("rotated", generation), (&name("lost"), 0)] {
            let rotation = Rotation { generation, ..rotation_at(sid, now) };
            let rotated = node.rotate(rotation).await.expect("the store answers");
            assert_eq!(rotated, Rotated::Done, "{sid}");
        }
        let scopes = Scopes::new(None, Some("acme"), "bob");
        let caller = CallerSession::new(key(&name("caller")), scopes, now, IDLE);
        let cutoff = RevocationCutoff::new(Timestamp::from_secs(1), now + DAY);
        let scope = Scope::User(scopes.user);
        let revocation = BulkRevocation::new(scope, now, cutoff, audit("sessions_revoked_bulk"));
        let revocation = BulkRevocation { exempt: Exempt::Caller(caller), ..revocation };
        node.revoke_all(revocation).await.expect("the store answers");

        let one_each = [name("begun"), name("lost"), name("caller")];
        let sids = ["touched", "also touched", "rotated"].map(str::to_owned);
        let mut too_late = Vec::new();
        for sid in sids.into_iter().chain(one_each) {
            let written = last_seen(&database, &sid).await;
            if written > SystemClock.now() + SKEW {
                too_late.push(sid.clone());
            }
            if ahead == 4000 || ahead < 0 && sid != "rotated" {
                assert_eq!(written, now, "{sid}: a clock within the skew, or behind, counts");
            }
        }
        assert_eq!(too_late, Vec::<String>::new());
    }
    database.remove().await;
}

/// A file's clock is that of its machine, which the node's clock showed wrongly before.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn p33_what_was_recorded_by_a_clock_that_was_ahead_is_limited_when_it_is_written() {
    for database in TestDatabase::all().await {
        let clock = Ahead::default();
        let node = node_without_task(&database, &clock, Duration::from_secs(3600)).await;
        clock.set(15 * MINUTE);
        node.touch(keys("s"), touch_at(&clock)).await.expect("it is active");
        clock.set(0);
        node.flush().await.expect("the activities are written");
        let (written, latest) = (last_seen(&database, "s").await, SystemClock.now() + SKEW);
        assert!(written <= latest, "{written:?} is later than {latest:?}");
        database.remove().await;
    }
}
