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
mod tests;
