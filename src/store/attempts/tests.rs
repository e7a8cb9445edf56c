//! Attempts: which count, and how many are remembered.

use super::*;

const IDLE: Duration = Duration::from_secs(60);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn keys(sid: &str) -> SessionKeys {
    SessionKeys::new(StoreKey::session(None, sid), StoreKey::user(None, None, sid))
}

fn record(attempts: &Attempts, now: u64) {
    attempts.record(keys("s"), Touch::new(at(now), at(0), IDLE));
}

fn last_activity(attempts: &Attempts, activity: u64) -> Timestamp {
    attempts.last_activity(|| keys("s").session, at(activity), IDLE)
}

#[test]
fn p23_attempts_count_if_they_follow_the_last_activity_without_a_gap() {
    let attempts = Attempts::new();
    assert_eq!(last_activity(&attempts, 1000), at(1000));
    for now in [1059, 1118, 1177] {
        record(&attempts, now);
    }
    for (activity, expected) in [(999, 999), (1000, 1177), (1200, 1200)] {
        assert_eq!(last_activity(&attempts, activity), at(expected), "{activity}");
    }
    record(&attempts, 1237);
    for (activity, expected) in [(999, 999), (1000, 1177), (1177, 1177), (1178, 1237)] {
        assert_eq!(last_activity(&attempts, activity), at(expected), "{activity} and a gap");
    }
    let other = || keys("t").session;
    assert_eq!(attempts.last_activity(other, at(1000), IDLE), at(1000));
}

#[test]
fn p12_an_attempt_of_a_clock_that_was_set_back_shortens_no_run() {
    let attempts = Attempts::new();
    for now in [1010, 1050, 1020] {
        record(&attempts, now);
    }
    assert_eq!(last_activity(&attempts, 1000), at(1050));
}

#[test]
fn p31_a_user_takes_no_room_of_others() {
    let attempts = Attempts::new();
    let record = |name: &str, user: &str, now| {
        let user = StoreKey::user(None, None, user);
        let keys = SessionKeys::new(StoreKey::session(None, name), user);
        attempts.record(keys, Touch::new(at(now), at(0), IDLE));
    };
    let is_known = |name: &str| attempts.last_attempt(&keys(name).session).is_some();
    for number in 0..MAX_OF_USER + 9 {
        record(&number.to_string(), "ada", 1000);
    }
    assert!(is_known("0") && is_known("999") && !is_known("1000"));
    record("999", "ada", 1010);
    assert_eq!(attempts.last_attempt(&keys("999").session), Some(at(1010)));
    record("bob's", "bob", 1000);
    assert!(is_known("bob's"));
    // Sessions that are removed make room for others of the user.
    for number in 0..MAX_OF_USER {
        attempts.set_written(&keys(&number.to_string()).session, at(1010), true);
        attempts.set_written(&keys(&number.to_string()).session, at(1000), true);
    }
    for number in 0..40_000 {
        record(&format!("other {number}"), &number.to_string(), 2000);
    }
    record("later", "ada", 2000);
    assert!(is_known("later") && !is_known("0"));
    assert_eq!(attempts.users.get(&StoreKey::user(None, None, "ada")).map(|it| *it), Some(1));
}

#[test]
fn p31_a_session_keeps_its_latest_runs() {
    let attempts = Attempts::new();
    for run in 1..=20 {
        record(&attempts, run * 100);
    }
    let touches = attempts.touches(&keys("s").session);
    let firsts: Vec<_> = touches.iter().map(|[begins, _]| begins.now).collect();
    assert_eq!(firsts, (5..=20).map(|run| at(run * 100)).collect::<Vec<_>>());
}

#[test]
fn p23_runs_are_offered_until_they_are_written_and_some_ten_times() {
    let attempts = Attempts::new();
    let next = || attempts.next_unwritten(9);
    record(&attempts, 1000);
    record(&attempts, 1010);
    assert_eq!(attempts.unwritten(), 1);
    assert_eq!(next(), [keys("s")]);
    attempts.set_written(&keys("s").session, at(1000), true);
    assert_eq!(next(), [keys("s")], "an attempt came since");
    attempts.set_written(&keys("s").session, at(1010), true);
    assert_eq!((next(), attempts.unwritten()), (vec![], 0));
    record(&attempts, 1020);
    for _ in 0..OFFERS {
        assert_eq!(next(), [keys("s")]);
        attempts.set_written(&keys("s").session, at(1020), false);
    }
    assert_eq!((next(), attempts.unwritten()), (vec![], 0));
}

#[test]
fn p23_runs_that_are_over_are_kept_until_they_are_written() {
    let attempts = Attempts::new();
    record(&attempts, 1000);
    let session = keys("s").session;
    let mut number = 0_u32;
    // Enough that each part of the table is swept.
    let mut record_others = || {
        for _ in 0..40_000 {
            number += 1;
            attempts.record(keys(&number.to_string()), Touch::new(at(2000), at(0), IDLE));
        }
    };
    record_others();
    assert_eq!(attempts.touches(&session).len(), 1, "a run on another node may follow it");
    attempts.set_written(&session, at(1000), true);
    record_others();
    assert_eq!(attempts.touches(&session).len(), 0, "it needs no room any more");
}

#[test]
fn p23_one_task_writes() {
    let attempts = Attempts::new();
    record(&attempts, 1000);
    assert_eq!((attempts.start_writing(), attempts.start_writing()), (true, false));
    assert!(!attempts.stop_writing(), "one session is left");
    assert!(!attempts.start_writing());
    attempts.set_written(&keys("s").session, at(1000), true);
    attempts.next_unwritten(1);
    assert!(attempts.stop_writing());
    assert!(attempts.start_writing());
    attempts.abandon_writing();
    assert!(attempts.start_writing());
}
