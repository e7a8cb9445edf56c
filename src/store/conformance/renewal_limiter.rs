//! The rules of a renewal limiter.

use std::{sync::Arc, time::Duration};

use crate::{
    identity::StoreKey,
    store::{RenewalDecision, RenewalLimiter, RenewalRequest},
    time::Timestamp,
};

const MINUTE: Duration = Duration::from_secs(60);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Tests a [`RenewalLimiter`] with room for 1,000 grants.
///
/// # Panics
/// If the limiter breaks a rule, or fails.
pub async fn renewal_limiter(limiter: impl RenewalLimiter) {
    let limiter: Arc<dyn RenewalLimiter> = Arc::new(limiter);
    let tested = || Tested { limiter: Arc::clone(&limiter), name: uuid::Uuid::new_v4() };
    p06_a_grant_blocks_its_session_and_user_for_the_interval(tested).await;
    p33_a_grant_blocks_its_session_for_its_own_interval_only(tested()).await;
    p06_of_parallel_requests_one_per_user_is_granted(tested).await;
    p06_a_request_from_before_the_grant_is_denied(tested()).await;
    p06_a_request_with_a_short_interval_shortens_no_longer_one(tested()).await;
    p28_a_second_device_is_granted_when_the_user_limit_is_waived(tested()).await;
    a_denial_for_the_user_does_not_block_the_session(tested()).await;
    a_release_ends_the_block_at_its_instant(tested()).await;
    p33_a_release_prolongs_no_block(tested()).await;
    p06_a_release_does_not_end_the_block_of_another_grant(tested()).await;
    a_release_without_a_grant_changes_nothing(tested()).await;
    p13_extreme_intervals_do_not_overflow(tested()).await;
}

/// A limiter, and what the names of this test's sessions and users begin with.
struct Tested {
    limiter: Arc<dyn RenewalLimiter>,
    name: uuid::Uuid,
}

impl Tested {
    fn request(&self, session: usize, user: usize, millis: u64) -> RenewalRequest {
        let name = |number: usize| format!("{} {number}", self.name);
        let session = StoreKey::session(None, &name(session));
        let user = StoreKey::user(None, None, &name(user));
        RenewalRequest::new(session, user, after(millis), MINUTE)
    }

    async fn grants(&self, request: RenewalRequest) -> bool {
        grants(&*self.limiter, request).await
    }

    /// Whether a request is granted that asks for its session alone.
    async fn grants_waived(&self, request: RenewalRequest) -> bool {
        self.grants(RenewalRequest { limits_user: false, ..request }).await
    }

    async fn release(&self, request: RenewalRequest, until: Timestamp) {
        self.limiter.release(request, until).await.expect("the limiter answers");
    }
}

fn after(millis: u64) -> Timestamp {
    BEGIN + Duration::from_millis(millis)
}

async fn grants(limiter: &dyn RenewalLimiter, request: RenewalRequest) -> bool {
    match limiter.acquire(request).await.expect("the limiter answers") {
        RenewalDecision::Granted => true,
        RenewalDecision::Denied => false,
        RenewalDecision::Full => panic!("the limiter has no room"),
    }
}

async fn p06_a_grant_blocks_its_session_and_user_for_the_interval(new: impl Fn() -> Tested) {
    for (millis, is_open) in [(0, false), (59_999, false), (60_000, true), (60_001, true)] {
        let tested = new();
        assert!(tested.grants(tested.request(1, 1, 0)).await);
        let session = tested.grants_waived(tested.request(1, 1, millis)).await;
        assert_eq!(session, is_open, "the same session, {millis} ms later");
        let user = tested.grants(tested.request(2, 1, millis)).await;
        assert_eq!(user, is_open, "another session of the user, {millis} ms later");
    }
}

async fn p33_a_grant_blocks_its_session_for_its_own_interval_only(tested: Tested) {
    let session_interval = Duration::from_secs(10);
    let short =
        |session, millis| RenewalRequest { session_interval, ..tested.request(session, 1, millis) };
    assert!(tested.grants(short(1, 0)).await);
    assert!(!tested.grants_waived(short(1, 9_999)).await);
    assert!(tested.grants_waived(short(1, 10_000)).await);
    assert!(!tested.grants(short(2, 59_999)).await, "the user is blocked for the whole interval");
    assert!(tested.grants(short(2, 60_000)).await);
}

async fn p06_of_parallel_requests_one_per_user_is_granted(new: impl Fn() -> Tested) {
    const USERS: usize = 100;
    const REQUESTS: usize = 2_000;
    for sessions_per_user in [1, 3, 20] {
        let tested = new();
        let mut requests = tokio::task::JoinSet::new();
        for number in 0..REQUESTS {
            let user = number % USERS;
            let session = user + USERS * (number / USERS % sessions_per_user);
            let request = tested.request(session, user, 0);
            let limiter = Arc::clone(&tested.limiter);
            requests.spawn(async move { grants(&*limiter, request).await });
        }
        let granted = requests.join_all().await.into_iter().filter(|granted| *granted).count();
        assert_eq!(granted, USERS, "{sessions_per_user} sessions per user");
    }
}

async fn p06_a_request_from_before_the_grant_is_denied(tested: Tested) {
    assert!(tested.grants(tested.request(1, 1, 5)).await);
    assert!(!tested.grants(tested.request(1, 1, 4)).await);
    let minute_before = RenewalRequest { now: after(5) - MINUTE, ..tested.request(1, 1, 0) };
    assert!(!tested.grants(minute_before).await);
}

async fn p06_a_request_with_a_short_interval_shortens_no_longer_one(tested: Tested) {
    let with = |interval, millis| RenewalRequest {
        min_interval: interval,
        session_interval: interval,
        ..tested.request(1, 1, millis)
    };
    let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
    assert!(tested.grants(with(hour, 0)).await);
    assert!(!tested.grants(with(second, 10)).await);
    assert!(tested.grants(with(second, 3_600_000)).await);
}

async fn p28_a_second_device_is_granted_when_the_user_limit_is_waived(tested: Tested) {
    assert!(tested.grants(tested.request(1, 1, 0)).await);
    assert!(!tested.grants(tested.request(2, 1, 1)).await);
    let waived = tested.grants_waived(tested.request(2, 1, 1)).await;
    assert!(waived, "the denial does not block its session");
    let again = tested.grants_waived(tested.request(2, 1, 2)).await;
    assert!(!again, "the limit of the session is not waived");
}

async fn a_denial_for_the_user_does_not_block_the_session(tested: Tested) {
    assert!(tested.grants_waived(tested.request(2, 1, 0)).await);
    assert!(tested.grants(tested.request(1, 1, 30_000)).await);
    assert!(!tested.grants(tested.request(2, 1, 60_000)).await);
    assert!(tested.grants_waived(tested.request(2, 1, 60_000)).await);
}

async fn a_release_ends_the_block_at_its_instant(tested: Tested) {
    let first = tested.request(1, 1, 0);
    assert!(tested.grants(first).await);
    tested.release(first, BEGIN).await;
    let second = tested.request(1, 1, 1);
    assert!(tested.grants(second).await);
    tested.release(second, after(1_001)).await;
    assert!(!tested.grants(tested.request(1, 1, 1_000)).await);
    assert!(tested.grants(tested.request(1, 1, 1_001)).await);
}

async fn p33_a_release_prolongs_no_block(tested: Tested) {
    let session_interval = Duration::from_millis(100);
    let short = RenewalRequest { session_interval, ..tested.request(1, 1, 0) };
    assert!(tested.grants(short).await);
    tested.release(short, after(1000)).await;
    assert!(tested.grants_waived(tested.request(1, 1, 100)).await);
    assert!(!tested.grants(tested.request(2, 1, 999)).await);
    assert!(tested.grants(tested.request(2, 1, 1000)).await);
}

async fn p06_a_release_does_not_end_the_block_of_another_grant(tested: Tested) {
    let slow = tested.request(1, 1, 0);
    assert!(tested.grants(slow).await);
    assert!(tested.grants(tested.request(1, 1, 60_000)).await);
    tested.release(slow, BEGIN).await;
    assert!(!tested.grants_waived(tested.request(1, 1, 60_001)).await);
    assert!(!tested.grants(tested.request(2, 1, 60_001)).await);
}

async fn a_release_without_a_grant_changes_nothing(tested: Tested) {
    tested.release(tested.request(1, 1, 0), after(59_999)).await;
    assert!(tested.grants(tested.request(1, 1, 0)).await);
}

async fn p13_extreme_intervals_do_not_overflow(tested: Tested) {
    let with = |session, interval| RenewalRequest {
        min_interval: interval,
        session_interval: interval,
        ..tested.request(session, session, 0)
    };
    let endless = with(1, Duration::MAX);
    assert!(tested.grants(endless).await);
    assert!(!tested.grants(tested.request(1, 1, 3_600_000)).await);
    tested.release(endless, Timestamp::MAX).await;
    assert!(tested.grants(with(2, Duration::ZERO)).await);
    assert!(tested.grants(with(2, Duration::ZERO)).await);
}
