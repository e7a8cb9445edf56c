//! What this node has changed and asserts once more: Redis may lose in a failover what it has answered.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Inner, kept_change::FeedChange};
use crate::{
    clock::Clock as _,
    maybe_ready::StoreError,
    store::node::{Change, LossSign},
    time::Timestamp,
};

/// How long after a change it is asserted once more: replicas have it by then, or have been promoted
/// without it.
const AFTER: Duration = Duration::from_secs(30);

/// The most changes that wait: those of 30 s. Of more the oldest are not asserted.
const CAPACITY: usize = 1 << 16;

/// The changes of this node in the last 30 s, and those that could not be written, the oldest first.
#[derive(Default)]
pub(super) struct Assertions(Mutex<VecDeque<(Timestamp, Change)>>);

impl Assertions {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(Timestamp, Change)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, at: Timestamp, change: Change) {
        let mut waiting = self.lock();
        if waiting.len() >= CAPACITY {
            waiting.pop_front();
        }
        waiting.push_back((at, change));
    }

    /// Lets a change that could not be written be tried again, if there is room for it.
    pub(super) fn add_again(&self, at: Timestamp, change: Change) {
        let mut waiting = self.lock();
        if waiting.len() < CAPACITY / 2 {
            waiting.push_back((at, change));
        }
    }

    pub(super) fn are_due(&self, now: Timestamp) -> bool {
        self.lock().front().is_some_and(|(at, _)| *at + AFTER <= now)
    }

    /// Takes the changes that are due at `now`.
    fn take_due(&self, now: Timestamp) -> Vec<(Timestamp, Change)> {
        let mut waiting = self.lock();
        let due = waiting.iter().take_while(|(at, _)| *at + AFTER <= now).count();
        waiting.drain(..due).collect()
    }

    fn put_back(&self, due: Vec<(Timestamp, Change)>) {
        let mut waiting = self.lock();
        for change in due.into_iter().rev() {
            waiting.push_front(change);
        }
    }
}

impl Inner {
    /// Applies changes that this node has made, and asserts them later.
    pub(super) fn apply_own(&self, changes: &[FeedChange]) {
        let now = self.clock.now();
        for change in changes {
            match *change {
                FeedChange::Known(Change::TombstoneFolded { .. })
                | FeedChange::Lost { .. }
                | FeedChange::Suspected { .. }
                | FeedChange::WritesBack { .. } => {}
                FeedChange::Known(change) => self.assertions.add(now, change),
                FeedChange::RevokedUnplaced { session, until, .. } => {
                    self.assertions.add(now, Change::Revoked { session, user: None, until });
                }
            }
        }
        self.apply_feed(changes);
    }

    /// Asserts the changes of this node that are 30 s old, unless they have been replaced.
    ///
    /// # Errors
    /// If the slot of the feed cannot be read or written; the changes stay due.
    pub(super) async fn assert_due(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let due = self.assertions.take_due(now);
        if due.is_empty() {
            return Ok(());
        }
        let changes = due.iter().map(|(_, change)| *change).filter(|it| self.holds(it));
        let changes: Vec<_> = changes.collect();
        match self.write_changes_back(&changes, self.store_clock.store_time(now)).await {
            Ok(is_missing) => {
                if is_missing {
                    // What else is lost, only a comparison of everything tells.
                    self.note_loss(LossSign::Suspected);
                }
                Ok(())
            }
            Err(error) => {
                self.assertions.put_back(due);
                Err(error)
            }
        }
    }

    /// Whether a change still holds: tombstones are folded, and the exemption of a session ends with it.
    fn holds(&self, change: &Change) -> bool {
        match change {
            Change::Revoked { session, .. } => self.held_tombstones.until(session).is_some(),
            Change::Exempt { session, .. } => self.revocations.exempt_until(session).is_some(),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::StoreKey;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn change(number: usize) -> Change {
        let session = StoreKey::from_bytes((number as u128).to_be_bytes());
        Change::Revoked { session, user: None, until: at(99) }
    }

    #[test]
    fn p22_a_change_is_due_after_30_seconds_until_it_is_asserted() {
        let assertions = Assertions::default();
        assertions.add(at(0), change(0));
        assertions.add(at(10), change(1));
        let millisecond = Duration::from_millis(1);
        assert!(!assertions.are_due(at(30) - millisecond));
        assert!(assertions.take_due(at(30) - millisecond).is_empty());
        assert!(assertions.are_due(at(30)));
        let due = assertions.take_due(at(30));
        assert_eq!(due, [(at(0), change(0))]);
        assertions.put_back(due);
        assert_eq!(assertions.take_due(at(40)), [(at(0), change(0)), (at(10), change(1))]);
        assert!(!assertions.are_due(at(99)));
    }

    #[test]
    fn p15_the_changes_that_wait_are_bounded() {
        let assertions = Assertions::default();
        for number in 0..=CAPACITY / 2 {
            assertions.add_again(at(0), change(number));
        }
        assert_eq!(assertions.lock().len(), CAPACITY / 2, "new ones have room");
        for number in 0..=CAPACITY / 2 {
            assertions.add(at(0), change(CAPACITY + number));
        }
        let waiting = assertions.lock();
        assert_eq!(waiting.len(), CAPACITY);
        assert_eq!(waiting.front(), Some(&(at(0), change(1))), "the oldest is not asserted");
    }
}
