//! Audit rows of changes that are made, which could not be appended: they are tried again after each reading
//! of the feed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::logs::LogRow;

/// The most that wait, in one log and in all.
const MAX_PER_LOG: usize = 64;
const MAX: usize = 4096;

#[derive(Default)]
pub(super) struct LateRows(Mutex<Vec<LogRow>>);

impl LateRows {
    fn lock(&self) -> MutexGuard<'_, Vec<LogRow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a row, unless there is no room.
    pub(super) fn add(&self, row: LogRow) {
        let mut rows = self.lock();
        let of_log = || rows.iter().filter(|it| it.log == row.log).count();
        if rows.len() >= MAX || of_log() >= MAX_PER_LOG {
            tracing::error!("an audit record is lost: too many wait for Redis");
            return;
        }
        rows.push(row);
    }

    pub(super) fn take(&self) -> Vec<LogRow> {
        std::mem::take(&mut *self.lock())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}
