use std::{
    sync::{Barrier, atomic::AtomicUsize},
    thread,
    time::Duration,
};

use super::*;
use crate::store::conformance;

const MINUTE: Duration = Duration::from_secs(60);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

fn after(millis: u64) -> Timestamp {
    BEGIN + Duration::from_millis(millis)
}

fn request(session: usize, user: Option<usize>, now: Timestamp) -> RenewalRequest {
    let id = user.unwrap_or_default().to_string();
    let user_key = StoreKey::user(None, None, &id);
    let session = StoreKey::session(None, &session.to_string());
    let request = RenewalRequest::new(session, user_key, now, MINUTE);
    RenewalRequest { limits_user: user.is_some(), ..request }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_rules_of_a_limiter() {
    conformance::renewal_limiter(MemoryLimiter::new()).await;
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
