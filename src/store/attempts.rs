//! Requests that a store which fails could not record.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::table::{NEARBY, Table};
use crate::{identity::StoreKey, time::Timestamp};

/// How many sessions a node remembers attempts of, in about 100 bytes each. When it is full, those
/// with the oldest attempts are forgotten.
const CAPACITY: usize = 1 << 20;

/// Attempts: authentic requests that were answered 503. An outage longer than the idle timeout must
/// not sign out a user who went on through it, so they count as activity once the store answers
/// again and says that the session has not ended.
///
/// Attempts count only as an unbroken run: each within the idle timeout of the one before, and the
/// first within the idle timeout of the last activity.
pub(crate) struct Attempts {
    table: Table<Mutex<Run>>,
    /// Whether there was ever an attempt: most nodes never look further.
    is_used: AtomicBool,
}

#[derive(Clone, Copy)]
struct Run {
    first: Timestamp,
    last: Timestamp,
    idle: Duration,
}

impl Run {
    fn extend(&mut self, now: Timestamp, idle: Duration) {
        if now >= self.last + self.idle {
            self.first = now;
        }
        self.last = self.last.max(now);
        self.idle = idle;
    }
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self { table: Table::new(CAPACITY), is_used: AtomicBool::new(false) }
    }

    /// Remembers an attempt at `now` of a session with the timeout `idle`.
    #[cold]
    pub(crate) fn record(&self, session: StoreKey, now: Timestamp, idle: Duration) {
        self.is_used.store(true, Relaxed);
        let extend = |run: &Mutex<Run>| lock(run).extend(now, idle);
        if self.table.get(&session, extend).is_some() {
            return;
        }
        let expired = |run: &Mutex<Run>| {
            let run = lock(run);
            now >= run.last + run.idle
        };
        let age = |run: &Mutex<Run>| Some(lock(run).last.as_millis());
        self.table.sweep_next(expired);
        let room = (self.table.room())
            .or_else(|| self.table.room_of_expired(&session, expired))
            .or_else(|| self.table.room_of_oldest(&session, NEARBY, age));
        if let Some(room) = room {
            let run = Mutex::new(Run { first: now, last: now, idle });
            self.table.insert(room, session, run, extend);
        }
    }

    /// Returns the last attempt, if the attempts follow an activity at `last_activity`; else that.
    #[inline]
    pub(crate) fn last_activity(
        &self,
        session: impl FnOnce() -> StoreKey,
        last_activity: Timestamp,
        idle: Duration,
    ) -> Timestamp {
        if !self.is_used.load(Relaxed) {
            return last_activity;
        }
        let run = self.table.get(&session(), |run| *lock(run));
        let run = run.filter(|run| run.first < last_activity + idle);
        run.map_or(last_activity, |run| run.last.max(last_activity))
    }
}

fn lock(run: &Mutex<Run>) -> MutexGuard<'_, Run> {
    run.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn session() -> StoreKey {
        StoreKey::session(None, "s")
    }

    #[test]
    fn p23_attempts_count_if_they_follow_the_last_activity_without_a_gap() {
        let attempts = Attempts::new();
        let last = |activity| attempts.last_activity(session, at(activity), IDLE);
        assert_eq!(last(1000), at(1000));
        for now in [1059, 1118, 1177] {
            attempts.record(session(), at(now), IDLE);
        }
        assert_eq!(last(999), at(999), "the first came after the idle timeout");
        assert_eq!(last(1000), at(1177));
        assert_eq!(last(1200), at(1200), "a later activity is known");
        attempts.record(session(), at(1237), IDLE);
        assert_eq!(last(1000), at(1000), "the run was interrupted");
        assert_eq!(last(1178), at(1237));
        let other = || StoreKey::session(None, "t");
        assert_eq!(attempts.last_activity(other, at(1000), IDLE), at(1000));
    }

    #[test]
    fn p12_an_attempt_of_a_clock_that_was_set_back_shortens_no_run() {
        let attempts = Attempts::new();
        for now in [1010, 1050, 1020] {
            attempts.record(session(), at(now), IDLE);
        }
        assert_eq!(attempts.last_activity(session, at(1000), IDLE), at(1050));
    }
}
