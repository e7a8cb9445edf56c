//! When which session's activity is to be written.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{identity::SessionKeys, time::Timestamp};

/// The sessions with an activity to write, the earliest first. A session is in it once; its lock is
/// taken once per session and touch interval.
#[derive(Default)]
pub(super) struct WriteSchedule(Mutex<Due>);

#[derive(Default)]
struct Due {
    sessions: BTreeMap<(Timestamp, u64), SessionKeys>,
    added: u64,
}

impl WriteSchedule {
    pub(super) fn add(&self, at: Timestamp, keys: SessionKeys) {
        let mut due = self.due();
        let number = due.added;
        due.added += 1;
        due.sessions.insert((at, number), keys);
    }

    /// Takes a session that is due at `now`.
    pub(super) fn take(&self, now: Timestamp) -> Option<SessionKeys> {
        let mut due = self.due();
        let first = due.sessions.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
