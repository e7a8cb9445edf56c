use std::{
    sync::{Barrier, atomic::AtomicUsize},
    thread,
    time::Duration,
};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(millis: u64) -> Timestamp {
    BEGIN + Duration::from_millis(millis)
}

fn request(session: usize, user: Option<usize>, now: Timestamp) -> RenewalRequest {
    RenewalRequest {
        session: StoreKey::session(None, &session.to_string()),
        user: user.map(|id| StoreKey::user(None, None, &id.to_string())),
        now,
        min_interval: MINUTE,
        session_interval: MINUTE,
    }
}

fn decision(limiter: &MemoryLimiter, request: RenewalRequest) -> RenewalDecision {
    let answer = limiter.acquire(request).try_ready().expect("a memory limiter answers at once");
    answer.expect("a memory limiter never fails")
}

fn granted(limiter: &MemoryLimiter, request: RenewalRequest) -> bool {
    decision(limiter, request) == RenewalDecision::Granted
}

fn release(limiter: &MemoryLimiter, request: RenewalRequest, until: Timestamp) {
    limiter
        .release(request, until)
        .try_ready()
        .expect("a memory limiter answers at once")
        .expect("a memory limiter never fails");
}

#[test]
fn p06_a_grant_blocks_its_session_and_user_for_the_interval() {
    for (millis, open) in [(0, false), (59_999, false), (60_000, true), (60_001, true)] {
        let limiter = MemoryLimiter::new();
        assert!(granted(&limiter, request(1, Some(1), BEGIN)));
        assert_eq!(
            granted(&limiter, request(1, None, after(millis))),
            open,
            "session, {millis} ms"
        );
        assert_eq!(
            granted(&limiter, request(2, Some(1), after(millis))),
            open,
            "user, {millis} ms"
        );
    }
}

#[test]
fn p33_a_grant_blocks_its_session_for_its_own_interval_only() {
    let limiter = MemoryLimiter::new();
    let session_interval = Duration::from_secs(10);
    let short = |session, millis| RenewalRequest {
        session_interval,
        ..request(session, Some(1), after(millis))
    };
    assert!(granted(&limiter, short(1, 0)));
    assert!(!granted(&limiter, RenewalRequest { user: None, ..short(1, 9_999) }));
    assert!(granted(&limiter, RenewalRequest { user: None, ..short(1, 10_000) }));
    assert!(!granted(&limiter, short(2, 59_999)), "the user is blocked for the whole interval");
    assert!(granted(&limiter, short(2, 60_000)));
}

#[test]
fn p33_a_release_prolongs_no_block() {
    let limiter = MemoryLimiter::new();
    let session_interval = Duration::from_millis(100);
    let short = RenewalRequest { session_interval, ..request(1, Some(1), BEGIN) };
    assert!(granted(&limiter, short));
    release(&limiter, short, after(1000));
    assert!(granted(&limiter, request(1, None, after(100))));
    assert!(!granted(&limiter, request(2, Some(1), after(999))));
    assert!(granted(&limiter, request(2, Some(1), after(1000))));
}

#[test]
fn p06_ten_thousand_parallel_requests_of_a_hundred_users_get_a_hundred_grants() {
    for sessions_per_user in [1, 3, 100] {
        let (limiter, grants) = (MemoryLimiter::new(), AtomicUsize::new(0));
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for thread in 0..8 {
                let (limiter, grants, start) = (&limiter, &grants, &start);
                scope.spawn(move || {
                    start.wait();
                    for number in (thread..10_000).step_by(8) {
                        let user = number % 100;
                        let session = user + 100 * (number / 100 % sessions_per_user);
                        if granted(limiter, request(session, Some(user), BEGIN)) {
                            grants.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(grants.into_inner(), 100, "{sessions_per_user} sessions per user");
    }
}

#[test]
fn p06_a_request_from_before_the_grant_is_denied() {
    let limiter = MemoryLimiter::new();
    assert!(granted(&limiter, request(1, Some(1), after(5))));
    assert!(!granted(&limiter, request(1, Some(1), after(4))));
    assert!(!granted(&limiter, request(1, Some(1), after(5) - MINUTE)));
}

#[test]
fn p12_a_clock_that_is_set_back_far_blocks_no_renewal() {
    let limiter = MemoryLimiter::new();
    assert!(granted(&limiter, request(1, Some(1), BEGIN)));
    let back = BEGIN - MINUTE;
    assert!(!granted(&limiter, request(1, Some(1), back)));
    let further = back - Duration::from_millis(1);
    assert!(granted(&limiter, request(1, Some(1), further)));
    assert!(!granted(&limiter, request(1, Some(1), further)));
}

#[test]
fn p06_a_request_with_a_short_interval_shortens_no_longer_one() {
    let limiter = MemoryLimiter::new();
    let hour = Duration::from_secs(3600);
    assert!(granted(
        &limiter,
        RenewalRequest { min_interval: hour, session_interval: hour, ..request(1, Some(1), BEGIN) }
    ));
    let second = Duration::from_secs(1);
    let short = |now| RenewalRequest {
        min_interval: second,
        session_interval: second,
        ..request(1, Some(1), now)
    };
    assert!(!granted(&limiter, short(after(10))));
    assert!(granted(&limiter, short(after(3_600_000))));
}

#[test]
fn p28_a_second_device_is_granted_when_the_user_limit_is_waived() {
    let limiter = MemoryLimiter::new();
    assert!(granted(&limiter, request(1, Some(1), BEGIN)));
    assert!(!granted(&limiter, request(2, Some(1), after(1))));
    assert!(granted(&limiter, request(2, None, after(1))), "the denial does not block its session");
    assert!(
        !granted(&limiter, request(2, None, after(2))),
        "the limit of the session is not waived"
    );
}

#[test]
fn a_denial_for_the_user_does_not_block_the_session() {
    let limiter = MemoryLimiter::new();
    assert!(granted(&limiter, request(2, None, BEGIN)));
    assert!(granted(&limiter, request(1, Some(1), after(30_000))));
    assert!(!granted(&limiter, request(2, Some(1), after(60_000))));
    assert!(granted(&limiter, request(2, None, after(60_000))));
}

#[test]
fn a_release_ends_the_block_at_its_instant() {
    let limiter = MemoryLimiter::new();
    let first = request(1, Some(1), BEGIN);
    assert!(granted(&limiter, first));
    release(&limiter, first, BEGIN);
    let second = request(1, Some(1), after(1));
    assert!(granted(&limiter, second));
    release(&limiter, second, after(1_001));
    assert!(!granted(&limiter, request(1, Some(1), after(1_000))));
    assert!(granted(&limiter, request(1, Some(1), after(1_001))));
}

#[test]
fn p06_a_release_does_not_end_the_block_of_another_grant() {
    let limiter = MemoryLimiter::new();
    let slow = request(1, Some(1), BEGIN);
    assert!(granted(&limiter, slow));
    assert!(granted(&limiter, request(1, Some(1), after(60_000))));
    release(&limiter, slow, BEGIN);
    assert!(!granted(&limiter, request(1, None, after(60_001))));
    assert!(!granted(&limiter, request(2, Some(1), after(60_001))));
}

#[test]
fn a_release_without_a_grant_changes_nothing() {
    let limiter = MemoryLimiter::new();
    release(&limiter, request(1, Some(1), BEGIN), BEGIN);
    assert_eq!(limiter.table.len(), 0);
}

#[test]
fn p15_a_limiter_is_full_until_entries_expire() {
    let limiter = MemoryLimiter::with_capacity(4);
    assert!(granted(&limiter, request(1, Some(1), BEGIN)));
    assert!(granted(&limiter, request(2, Some(2), BEGIN)));
    assert_eq!(decision(&limiter, request(3, Some(3), after(59_999))), RenewalDecision::Full);
    assert!(
        !granted(&limiter, request(1, Some(1), after(59_999))),
        "no blocking entry was evicted"
    );
    assert!(granted(&limiter, request(3, Some(3), after(60_000))));
    assert!(limiter.table.len() <= 4);
}

#[test]
fn p15_many_ids_stay_within_the_capacity() {
    let limiter = MemoryLimiter::with_capacity(100);
    for id in 0..20_000 {
        granted(&limiter, request(id, Some(id), after(id as u64)));
        assert!(limiter.table.len() <= 100);
    }
    let none = MemoryLimiter::with_capacity(0);
    assert_eq!(decision(&none, request(1, None, BEGIN)), RenewalDecision::Full);
    let session_only = MemoryLimiter::with_capacity(1);
    for _ in 0..2 {
        let decision = decision(&session_only, request(1, Some(1), BEGIN));
        assert_eq!(decision, RenewalDecision::Full, "no room for the user");
    }
}

#[test]
fn p13_extreme_instants_do_not_overflow() {
    let limiter = MemoryLimiter::new();
    let endless = RenewalRequest {
        min_interval: Duration::MAX,
        session_interval: Duration::MAX,
        ..request(1, Some(1), Timestamp::MAX)
    };
    granted(&limiter, endless);
    release(&limiter, endless, Timestamp::MAX);
    let none = RenewalRequest {
        min_interval: Duration::ZERO,
        session_interval: Duration::ZERO,
        ..request(2, Some(2), BEGIN)
    };
    assert!(granted(&limiter, none));
}

#[test]
fn p10_debug_shows_counts_only() {
    let limiter = MemoryLimiter::with_capacity(8);
    granted(&limiter, request(1, None, BEGIN));
    assert_eq!(format!("{limiter:?}"), "MemoryLimiter { len: 1, capacity: 8, .. }");
}
