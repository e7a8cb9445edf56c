//! Requests that a store which fails could not record.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::{
    Touch,
    table::{NEARBY, Table},
};
use crate::{
    identity::{SessionKeys, StoreKey},
    time::Timestamp,
};

/// How many sessions a node remembers attempts of, in about 200 bytes each. When it is full, those
/// with the oldest attempts are forgotten.
const CAPACITY: usize = 1 << 20;

/// How many of them may be sessions of one user.
const MAX_OF_USER: usize = 1000;

/// How many runs of a session are remembered, in 16 bytes each: the latest.
const RUNS: usize = 16;

/// Attempts: authentic requests that were answered 503. An outage longer than the idle timeout must
/// not sign out a user who went on through it, so they count as activity once the store answers
/// again and says that the session has not ended.
///
/// Attempts count only as an unbroken run: each within the idle timeout of the one before, and the
/// first within the idle timeout of the last activity. That activity may be an attempt on another node,
/// so each node writes its runs to the store, and keeps several of a session.
pub(crate) struct Attempts {
    table: Table<Mutex<Runs>>,
    users: Arc<Users>,
    unwritten: Mutex<Unwritten>,
    /// Whether there was ever an attempt: most nodes never look further.
    is_used: AtomicBool,
}

/// How many sessions of each user are in the table.
type Users = DashMap<StoreKey, usize, RandomState>;

/// One session of a user, as long as it is in the table.
struct Place {
    users: Arc<Users>,
    user: StoreKey,
}

impl Place {
    /// `None` if the user has too many.
    fn take(users: &Arc<Users>, user: StoreKey) -> Option<Self> {
        let mut count = users.entry(user).or_insert(0);
        if *count >= MAX_OF_USER {
            return None;
        }
        *count += 1;
        Some(Self { users: Arc::clone(users), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut count) = self.users.get_mut(&self.user) {
            *count = count.saturating_sub(1);
        }
        self.users.remove_if(&self.user, |_, count| *count == 0);
    }
}

/// The sessions whose runs may have to be written.
#[derive(Default)]
struct Unwritten {
    sessions: VecDeque<SessionKeys>,
    /// Whether a task writes them.
    has_writer: bool,
}

/// How often the runs of a session are offered to a store that says that they follow no activity: other
/// nodes write theirs at the same time.
const OFFERS: u8 = 10;

/// The attempts of one session.
struct Runs {
    latest: Run,
    /// The oldest first.
    earlier: Vec<Run>,
    /// That of the last attempt.
    touch: Touch,
    /// How often they are to be offered to the store; zero when they are written.
    offers: u8,
    _place: Place,
}

#[derive(Clone, Copy)]
struct Run {
    first: Timestamp,
    last: Timestamp,
}

impl Runs {
    fn new(touch: Touch, place: Place) -> Self {
        let latest = Run { first: touch.now, last: touch.now };
        Self { latest, earlier: vec![], touch, offers: 0, _place: place }
    }

    fn extend(&mut self, touch: Touch) {
        if self.is_over(touch.now) {
            if self.earlier.len() == RUNS - 1 {
                self.earlier.remove(0);
            }
            self.earlier.push(self.latest);
            self.latest.first = touch.now;
        }
        self.latest.last = self.latest.last.max(touch.now);
        self.touch = touch;
    }

    /// Whether the latest run ends with the last attempt.
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.latest.last + self.touch.idle
    }

    /// Whether they are over and written: what a run on another node follows is kept for as long as the
    /// outage lasts.
    fn is_expired(&self, now: Timestamp) -> bool {
        self.offers == 0 && self.is_over(now)
    }

    fn all(&self) -> impl Iterator<Item = Run> {
        self.earlier.iter().copied().chain([self.latest])
    }

    /// The touches that record each of the runs, if they are made in this order and the first of each is
    /// answered that the session is active.
    fn touches(&self) -> Vec<[Touch; 2]> {
        let touches = |Run { first, last }| {
            let begins = Touch { now: first, ..self.touch };
            // It follows the attempts before it.
            [begins, Touch { now: last, token_activity: last, ..begins }]
        };
        self.all().map(touches).collect()
    }
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(CAPACITY),
            users: Arc::default(),
            unwritten: Mutex::default(),
            is_used: AtomicBool::new(false),
        }
    }

    /// Remembers an attempt of a session, which `touch` would have recorded; not of more sessions of one user
    /// than 1,000.
    #[cold]
    pub(crate) fn record(&self, keys: SessionKeys, touch: Touch) {
        self.is_used.store(true, Relaxed);
        let extend = |runs: &Mutex<Runs>| lock(runs).extend(touch);
        if self.table.get(&keys.session, extend).is_none() {
            let expired = |runs: &Mutex<Runs>| lock(runs).is_expired(touch.now);
            let age = |runs: &Mutex<Runs>| Some(lock(runs).latest.last.as_millis());
            self.table.sweep_next(expired);
            let room = (self.table.room())
                .or_else(|| self.table.room_of_expired(&keys.session, expired))
                .or_else(|| self.table.room_of_oldest(&keys.session, NEARBY, age));
            // In this order: an entry that makes room may be one of the same user.
            let place = Place::take(&self.users, keys.user);
            let (Some(room), Some(place)) = (room, place) else { return };
            self.table.insert(room, keys.session, Mutex::new(Runs::new(touch, place)), extend);
        }
        self.set_unwritten(keys);
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
        let follow = |runs: &Mutex<Runs>| {
            lock(runs).all().fold(last_activity, |last_activity, run| {
                let follows = run.first < last_activity + idle;
                if follows { run.last.max(last_activity) } else { last_activity }
            })
        };
        self.table.get(&session(), follow).unwrap_or(last_activity)
    }

    pub(crate) fn last_attempt(&self, session: &StoreKey) -> Option<Timestamp> {
        self.is_used
            .load(Relaxed)
            .then(|| self.table.get(session, |runs| lock(runs).latest.last))?
    }

    fn set_unwritten(&self, keys: SessionKeys) {
        let offer = |runs: &Mutex<Runs>| std::mem::replace(&mut lock(runs).offers, OFFERS);
        if self.table.get(&keys.session, offer) == Some(0) {
            let mut unwritten = lock(&self.unwritten);
            if unwritten.sessions.len() < CAPACITY {
                unwritten.sessions.push_back(keys);
            }
        }
    }

    /// How many sessions [`next_unwritten`](Self::next_unwritten) returns before the first one again.
    pub(crate) fn unwritten(&self) -> usize {
        lock(&self.unwritten).sessions.len()
    }

    /// Returns the next sessions whose runs are to be written, of at most `count`. They are returned again
    /// in their turn, until they are written.
    pub(crate) fn next_unwritten(&self, count: usize) -> Vec<SessionKeys> {
        let mut next: Vec<_> = {
            let sessions = &mut lock(&self.unwritten).sessions;
            let count = sessions.len().min(count);
            sessions.drain(..count).collect()
        };
        let is_unwritten = |runs: &Mutex<Runs>| lock(runs).offers > 0;
        next.retain(|keys| self.table.get(&keys.session, is_unwritten) == Some(true));
        lock(&self.unwritten).sessions.extend(&next);
        next
    }

    /// The touches that record the runs of a session, as [`Runs::touches`] says.
    pub(crate) fn touches(&self, session: &StoreKey) -> Vec<[Touch; 2]> {
        self.table.get(session, |runs| lock(runs).touches()).unwrap_or_default()
    }

    /// The store has the runs of a session, of which the last attempt was at `last`; or it has not, for they
    /// follow no activity that it knows.
    pub(crate) fn set_written(&self, session: &StoreKey, last: Timestamp, is_written: bool) {
        let set = |runs: &Mutex<Runs>| {
            let mut runs = lock(runs);
            if !is_written {
                runs.offers = runs.offers.saturating_sub(1);
            } else if runs.latest.last == last {
                runs.offers = 0;
            }
        };
        self.table.get(session, set);
    }

    /// Whether the caller is to write what is unwritten, until [`stop_writing`](Self::stop_writing).
    pub(crate) fn start_writing(&self) -> bool {
        !std::mem::replace(&mut lock(&self.unwritten).has_writer, true)
    }

    /// Returns whether nothing is left to be written: then the next attempt needs another writer.
    pub(crate) fn stop_writing(&self) -> bool {
        let mut unwritten = lock(&self.unwritten);
        unwritten.has_writer = !unwritten.sessions.is_empty();
        !unwritten.has_writer
    }

    /// The writer has ended before it could stop, as with its runtime: the next attempt needs another one.
    pub(crate) fn abandon_writing(&self) {
        lock(&self.unwritten).has_writer = false;
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
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
}
