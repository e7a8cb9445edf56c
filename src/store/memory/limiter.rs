//! The renewal gate in memory.

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

/// Grants renewals within this process. The default gate.
///
/// It holds a bounded number of gates, one a session and one a user, in 30 to 60 bytes each, at
/// most 120 once many have come and gone. Gates that are open again are cleared little by little
/// as others close; a gate that is closed is never forgotten: when all are, there is no grant. A
/// restart opens every gate.
///
/// A gate is closed until its instant comes; or, where the clock has been set back since, until
/// the rest is more than twice the longest interval that was ever asked for, which no grant can
/// have meant. So a clock set back delays renewals by two intervals at most, and an ask that took
/// its `now` a moment before the grant that it lost to is still denied.
pub struct MemoryLimiter {
    /// Until when each gate is closed, in milliseconds.
    table: Table<AtomicU64>,
    /// In milliseconds.
    longest_interval: AtomicU64,
}

/// What a gate is at that was never closed.
const OPEN: u64 = 0;

impl MemoryLimiter {
    /// How many gates are held by default: 1,048,576.
    pub const DEFAULT_CAPACITY: usize = 1 << 20;

    /// A gate of [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY).
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::DEFAULT_CAPACITY)
    }

    /// At most `max_gates`; a grant takes two. Room for twice the renewals of one interval is
    /// room enough.
    #[must_use]
    pub fn with_capacity(max_gates: usize) -> Self {
        Self { table: Table::new(max_gates), longest_interval: AtomicU64::new(0) }
    }

    fn acquire_now(&self, ask: RenewalRequest) -> RenewalDecision {
        let interval = (Timestamp::EPOCH + ask.min_interval).as_millis();
        if interval > self.longest_interval.load(Relaxed) {
            self.longest_interval.fetch_max(interval, Relaxed);
        }
        let Some(before) = self.close(ask.session, ask) else { return RenewalDecision::Denied };
        if ask.user.is_some_and(|user| self.close(user, ask).is_none()) {
            self.move_own(&ask.session, ask, before);
            return RenewalDecision::Denied;
        }
        RenewalDecision::Granted
    }

    /// Closes the gate of `key` and tells where it stood; none if it is closed or finds no room.
    fn close(&self, key: StoreKey, ask: RenewalRequest) -> Option<u64> {
        let try_close = |limiter: &AtomicU64| {
            let closed = |until| self.is_open(until, ask.now).then_some(closed_by(ask));
            limiter.fetch_update(Relaxed, Relaxed, closed).ok()
        };
        if let Some(before) = self.table.get(&key, try_close) {
            return before;
        }
        let is_open = |limiter: &AtomicU64| self.is_open(limiter.load(Relaxed), ask.now);
        self.table.sweep_next(is_open);
        let room = self.table.room().or_else(|| self.table.room_of_expired(&key, is_open))?;
        let limiter = AtomicU64::new(closed_by(ask));
        self.table.insert(room, key, limiter, try_close).unwrap_or(Some(OPEN))
    }

    fn is_open(&self, until: u64, now: Timestamp) -> bool {
        let rest = until.saturating_sub(now.as_millis());
        rest == 0 || rest > self.longest_interval.load(Relaxed).saturating_mul(2)
    }

    /// Moves the gate of `key` if it is still as `ask` closed it.
    fn move_own(&self, key: &StoreKey, ask: RenewalRequest, until: u64) {
        let _ = self.table.get(key, |limiter| {
            limiter.compare_exchange(closed_by(ask), until, Relaxed, Relaxed).is_ok()
        });
    }
}

/// Where a grant leaves its gates.
fn closed_by(ask: RenewalRequest) -> u64 {
    (ask.now + ask.min_interval).as_millis()
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
    fn admit(&self, ask: RenewalRequest) -> MaybeReady<RenewalDecision> {
        MaybeReady::ready(Ok(self.acquire_now(ask)))
    }

    fn release(&self, ask: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        [Some(ask.session), ask.user]
            .iter()
            .flatten()
            .for_each(|key| self.move_own(key, ask, until.as_millis()));
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

    fn ask(session: usize, user: Option<usize>, now: Timestamp) -> RenewalRequest {
        RenewalRequest {
            session: StoreKey::session(None, &session.to_string()),
            user: user.map(|id| StoreKey::user(None, None, &id.to_string())),
            now,
            min_interval: MINUTE,
        }
    }

    fn granted(limiter: &MemoryLimiter, ask: RenewalRequest) -> bool {
        let answer = limiter.admit(ask).try_ready().expect("at hand");
        answer.expect("memory never fails an ask") == RenewalDecision::Granted
    }

    fn release(limiter: &MemoryLimiter, ask: RenewalRequest, until: Timestamp) {
        limiter.release(ask, until).try_ready().expect("at hand").expect("memory never fails");
    }

    #[test]
    fn p06_a_grant_closes_both_gates_for_the_interval() {
        for (millis, open) in [(0, false), (59_999, false), (60_000, true), (60_001, true)] {
            let limiter = MemoryLimiter::new();
            assert!(granted(&limiter, ask(1, Some(1), BEGIN)));
            assert_eq!(
                granted(&limiter, ask(1, None, after(millis))),
                open,
                "session, {millis} ms"
            );
            assert_eq!(
                granted(&limiter, ask(2, Some(1), after(millis))),
                open,
                "user, {millis} ms"
            );
        }
    }

    #[test]
    fn p06_ten_thousand_parallel_asks_of_a_hundred_users_grant_a_hundred() {
        for sessions_a_user in [1, 3, 100] {
            let (limiter, grants) = (MemoryLimiter::new(), AtomicUsize::new(0));
            let start = Barrier::new(8);
            thread::scope(|scope| {
                for thread in 0..8 {
                    let (limiter, grants, start) = (&limiter, &grants, &start);
                    scope.spawn(move || {
                        start.wait();
                        for request in (thread..10_000).step_by(8) {
                            let user = request % 100;
                            let session = user + 100 * (request / 100 % sessions_a_user);
                            if granted(limiter, ask(session, Some(user), BEGIN)) {
                                grants.fetch_add(1, Relaxed);
                            }
                        }
                    });
                }
            });
            assert_eq!(grants.into_inner(), 100, "{sessions_a_user} sessions a user");
        }
    }

    #[test]
    fn p06_an_ask_that_read_its_clock_before_the_grant_is_denied() {
        let limiter = MemoryLimiter::new();
        assert!(granted(&limiter, ask(1, Some(1), after(5))));
        assert!(!granted(&limiter, ask(1, Some(1), after(4))));
        assert!(!granted(&limiter, ask(1, Some(1), after(5) - MINUTE)));
    }

    #[test]
    fn p12_a_clock_set_back_far_starves_nobody() {
        let limiter = MemoryLimiter::new();
        assert!(granted(&limiter, ask(1, Some(1), BEGIN)));
        let back = BEGIN - MINUTE;
        assert!(!granted(&limiter, ask(1, Some(1), back)));
        let further = back - Duration::from_millis(1);
        assert!(granted(&limiter, ask(1, Some(1), further)));
        assert!(!granted(&limiter, ask(1, Some(1), further)));
    }

    #[test]
    fn p06_an_ask_with_a_short_interval_does_not_open_a_gate_closed_for_longer() {
        let limiter = MemoryLimiter::new();
        let hour = Duration::from_secs(3600);
        assert!(granted(&limiter, RenewalRequest { min_interval: hour, ..ask(1, Some(1), BEGIN) }));
        let short =
            |now| RenewalRequest { min_interval: Duration::from_secs(1), ..ask(1, Some(1), now) };
        assert!(!granted(&limiter, short(after(10))));
        assert!(granted(&limiter, short(after(3_600_000))));
    }

    #[test]
    fn p28_a_second_device_is_not_made_to_wait_once_its_rate_is_waived() {
        let limiter = MemoryLimiter::new();
        assert!(granted(&limiter, ask(1, Some(1), BEGIN)));
        assert!(!granted(&limiter, ask(2, Some(1), after(1))));
        assert!(
            granted(&limiter, ask(2, None, after(1))),
            "the denial left its session's limiter open"
        );
        assert!(!granted(&limiter, ask(2, None, after(2))), "a waived rate is still single flight");
    }

    #[test]
    fn a_denial_puts_the_session_gate_back_where_it_was() {
        let limiter = MemoryLimiter::new();
        assert!(granted(&limiter, ask(2, None, BEGIN)));
        assert!(granted(&limiter, ask(1, Some(1), after(30_000))));
        assert!(!granted(&limiter, ask(2, Some(1), after(60_000))));
        assert!(granted(&limiter, ask(2, None, after(60_000))));
    }

    #[test]
    fn a_cancelled_mint_opens_its_gates_at_once_and_a_failed_one_later() {
        let limiter = MemoryLimiter::new();
        let first = ask(1, Some(1), BEGIN);
        assert!(granted(&limiter, first));
        release(&limiter, first, BEGIN);
        let second = ask(1, Some(1), after(1));
        assert!(granted(&limiter, second));
        release(&limiter, second, after(1_001));
        assert!(!granted(&limiter, ask(1, Some(1), after(1_000))));
        assert!(granted(&limiter, ask(1, Some(1), after(1_001))));
    }

    #[test]
    fn p06_a_release_leaves_the_gates_of_another_grant_closed() {
        let limiter = MemoryLimiter::new();
        let slow = ask(1, Some(1), BEGIN);
        assert!(granted(&limiter, slow));
        assert!(granted(&limiter, ask(1, Some(1), after(60_000))));
        release(&limiter, slow, BEGIN);
        assert!(!granted(&limiter, ask(1, None, after(60_001))));
        assert!(!granted(&limiter, ask(2, Some(1), after(60_001))));
    }

    #[test]
    fn a_release_without_a_gate_is_nothing() {
        let limiter = MemoryLimiter::new();
        release(&limiter, ask(1, Some(1), BEGIN), BEGIN);
        assert_eq!(limiter.table.len(), 0);
    }

    #[test]
    fn p15_a_full_gate_denies_until_others_open() {
        let limiter = MemoryLimiter::with_capacity(4);
        assert!(granted(&limiter, ask(1, Some(1), BEGIN)));
        assert!(granted(&limiter, ask(2, Some(2), BEGIN)));
        assert!(!granted(&limiter, ask(3, Some(3), after(59_999))));
        assert!(!granted(&limiter, ask(1, Some(1), after(59_999))), "no limiter was forgotten");
        assert!(granted(&limiter, ask(3, Some(3), after(60_000))));
        assert!(limiter.table.len() <= 4);
    }

    #[test]
    fn p15_many_ids_stay_within_the_capacity() {
        let limiter = MemoryLimiter::with_capacity(100);
        for id in 0..20_000 {
            granted(&limiter, ask(id, Some(id), after(id as u64)));
            assert!(limiter.table.len() <= 100);
        }
        assert!(!granted(&MemoryLimiter::with_capacity(0), ask(1, None, BEGIN)));
    }

    #[test]
    fn p13_the_ends_of_time_do_not_overflow() {
        let limiter = MemoryLimiter::new();
        let endless =
            RenewalRequest { min_interval: Duration::MAX, ..ask(1, Some(1), Timestamp::MAX) };
        granted(&limiter, endless);
        release(&limiter, endless, Timestamp::MAX);
        let none = RenewalRequest { min_interval: Duration::ZERO, ..ask(2, Some(2), BEGIN) };
        assert!(granted(&limiter, none));
    }

    #[test]
    fn p10_debug_shows_counts_only() {
        let limiter = MemoryLimiter::with_capacity(8);
        granted(&limiter, ask(1, None, BEGIN));
        assert_eq!(format!("{limiter:?}"), "MemoryLimiter { len: 1, capacity: 8, .. }");
    }
}
