//! The memory limiter: limits renewals within one process.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{
    identity::StoreKey,
    maybe_ready::MaybeReady,
    store::{RenewalDecision, RenewalLimiter, RenewalRequest, table::Table},
    time::Timestamp,
};

/// Limits renewals within this process. The default limiter.
///
/// It has a bounded number of entries, one per session and one per user, of 30 to 60 bytes each, at
/// most 120 after many have come and gone. Entries that block nothing any more are removed in small
/// steps; an entry that blocks is never evicted: when all do, there is no grant. A restart forgets
/// every grant.
///
/// An entry blocks until its instant; if the clock was set back since, it blocks only if the rest
/// is at most twice the longest interval that was ever requested, since no grant blocks longer. A
/// clock that is set back thus delays renewals by two intervals at most, and a request whose `now`
/// is a moment before the grant that it lost to is still denied.
pub struct MemoryLimiter {
    /// Until when each session and user is blocked, in milliseconds.
    table: Table<AtomicU64>,
    /// The longest interval requested so far, in milliseconds.
    longest_interval: AtomicU64,
}

/// An entry that never blocked.
const UNBLOCKED: u64 = 0;

impl MemoryLimiter {
    /// The default capacity: 1,048,576 entries.
    pub const DEFAULT_CAPACITY: usize = 1 << 20;

    /// Creates a limiter of [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// Creates a limiter with at most `max_entries`. A grant takes two, so it needs twice the number
    /// of renewals in one interval.
    #[must_use]
    pub fn with_capacity(max_entries: usize) -> Self {
        Self { table: Table::new(max_entries), longest_interval: AtomicU64::new(0) }
    }

    fn acquire_now(&self, request: RenewalRequest) -> RenewalDecision {
        let interval = (Timestamp::EPOCH + request.min_interval).as_millis();
        if interval > self.longest_interval.load(Relaxed) {
            self.longest_interval.fetch_max(interval, Relaxed);
        }
        let Some(before) = self.block(request.session, request) else {
            return RenewalDecision::Denied;
        };
        if request.user.is_some_and(|user| self.block(user, request).is_none()) {
            self.set_own(&request.session, request, before);
            return RenewalDecision::Denied;
        }
        RenewalDecision::Granted
    }

    /// Blocks `key`. Returns until when it was blocked before; `None` if it still is, or there is no
    /// room.
    fn block(&self, key: StoreKey, request: RenewalRequest) -> Option<u64> {
        let try_block = |limiter: &AtomicU64| {
            let blocked =
                |until| self.is_unblocked(until, request.now).then_some(blocked_until(request));
            limiter.fetch_update(Relaxed, Relaxed, blocked).ok()
        };
        if let Some(before) = self.table.get(&key, try_block) {
            return before;
        }
        let is_unblocked =
            |limiter: &AtomicU64| self.is_unblocked(limiter.load(Relaxed), request.now);
        self.table.sweep_next(is_unblocked);
        let room = self.table.room().or_else(|| self.table.room_of_expired(&key, is_unblocked))?;
        let limiter = AtomicU64::new(blocked_until(request));
        self.table.insert(room, key, limiter, try_block).unwrap_or(Some(UNBLOCKED))
    }

    fn is_unblocked(&self, until: u64, now: Timestamp) -> bool {
        let rest = until.saturating_sub(now.as_millis());
        rest == 0 || rest > self.longest_interval.load(Relaxed).saturating_mul(2)
    }

    /// Blocks `key` until `until` instead, if the grant of `request` still blocks it.
    fn set_own(&self, key: &StoreKey, request: RenewalRequest, until: u64) {
        let _ = self.table.get(key, |limiter| {
            limiter.compare_exchange(blocked_until(request), until, Relaxed, Relaxed).is_ok()
        });
    }
}

/// Returns until when a grant blocks.
fn blocked_until(request: RenewalRequest) -> u64 {
    (request.now + request.min_interval).as_millis()
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLimiter")
            .field("len", &self.table.len())
            .field("capacity", &self.table.capacity())
            .finish_non_exhaustive()
    }
}

impl RenewalLimiter for MemoryLimiter {
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision> {
        MaybeReady::ready(Ok(self.acquire_now(request)))
    }

    fn release(&self, request: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        [Some(request.session), request.user]
            .iter()
            .flatten()
            .for_each(|key| self.set_own(key, request, until.as_millis()));
        MaybeReady::ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
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
        }
    }

    fn granted(limiter: &MemoryLimiter, request: RenewalRequest) -> bool {
        let answer =
            limiter.acquire(request).try_ready().expect("a memory limiter answers at once");
        answer.expect("a memory limiter never fails") == RenewalDecision::Granted
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
            RenewalRequest { min_interval: hour, ..request(1, Some(1), BEGIN) }
        ));
        let short = |now| RenewalRequest {
            min_interval: Duration::from_secs(1),
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
        assert!(
            granted(&limiter, request(2, None, after(1))),
            "the denial does not block its session"
        );
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
    fn p15_a_full_limiter_denies_until_entries_expire() {
        let limiter = MemoryLimiter::with_capacity(4);
        assert!(granted(&limiter, request(1, Some(1), BEGIN)));
        assert!(granted(&limiter, request(2, Some(2), BEGIN)));
        assert!(!granted(&limiter, request(3, Some(3), after(59_999))));
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
        assert!(!granted(&MemoryLimiter::with_capacity(0), request(1, None, BEGIN)));
    }

    #[test]
    fn p13_extreme_instants_do_not_overflow() {
        let limiter = MemoryLimiter::new();
        let endless =
            RenewalRequest { min_interval: Duration::MAX, ..request(1, Some(1), Timestamp::MAX) };
        granted(&limiter, endless);
        release(&limiter, endless, Timestamp::MAX);
        let none = RenewalRequest { min_interval: Duration::ZERO, ..request(2, Some(2), BEGIN) };
        assert!(granted(&limiter, none));
    }

    #[test]
    fn p10_debug_shows_counts_only() {
        let limiter = MemoryLimiter::with_capacity(8);
        granted(&limiter, request(1, None, BEGIN));
        assert_eq!(format!("{limiter:?}"), "MemoryLimiter { len: 1, capacity: 8, .. }");
    }
}
