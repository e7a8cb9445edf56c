//! The bulk revocations whose sessions this node counts at the moment: of several at the same time each session
//! is counted by the one whose cutoff was raised first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{identity::StoreKey, time::Timestamp};

/// Cutoffs that were raised since the first of those whose sessions are still counted.
#[derive(Default)]
pub(super) struct Counts(Mutex<Raises>);

#[derive(Default)]
struct Raises {
    /// The number of the first in `raises`.
    first: usize,
    raises: VecDeque<Raise>,
}

struct Raise {
    scope: StoreKey,
    /// The cutoff of the scope before.
    before: Option<Timestamp>,
    is_counted: bool,
}

/// A cutoff whose sessions are counted until this is dropped.
pub(super) struct Count {
    counts: Arc<Counts>,
    number: usize,
}

impl Counts {
    fn lock(&self) -> MutexGuard<'_, Raises> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cutoff of `scope` is raised next; it was `before`.
    pub(super) fn begin(self: &Arc<Self>, scope: StoreKey, before: Option<Timestamp>) -> Count {
        let mut raises = self.lock();
        raises.raises.push_back(Raise { scope, before, is_counted: false });
        let number = raises.first + raises.raises.len() - 1;
        Count { counts: Arc::clone(self), number }
    }
}

impl Count {
    /// The cutoff of a scope when this one was raised, where it is `now` at present. It is that of this scope
    /// before as well.
    pub(super) fn cutoff_before(
        &self,
        scope: StoreKey,
        now: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let Raises { first, raises } = &*self.counts.lock();
        let mut since = raises.iter().skip(self.number - first);
        // No other is raised meanwhile.
        since.find(|raise| raise.scope == scope).map_or_else(now, |raise| raise.before)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        let mut raises = self.counts.lock();
        let place = self.number - raises.first;
        raises.raises[place].is_counted = true;
        while raises.raises.front().is_some_and(|raise| raise.is_counted) {
            raises.raises.pop_front();
            raises.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p40_of_several_revocations_at_the_same_time_the_first_counts_a_session() {
        let counts = Arc::new(Counts::default());
        let [user, account] = [1, 2].map(|number| StoreKey::from_bytes([number; 16]));
        let at = |secs| Some(Timestamp::from_secs(secs));
        let first = counts.begin(user, at(1));
        let second = counts.begin(account, None);
        let third = counts.begin(user, at(2));
        let before =
            |count: &Count| [user, account].map(|scope| count.cutoff_before(scope, || at(3)));
        assert_eq!(before(&first), [at(1), None]);
        assert_eq!(before(&second), [at(2), None]);
        assert_eq!(before(&third), [at(2), at(3)]);
        drop(second);
        assert_eq!(before(&first), [at(1), None], "it was raised later, although it is counted");
        drop(first);
        assert_eq!(counts.lock().raises.len(), 1);
        assert_eq!(before(&third), [at(2), at(3)]);
        drop(third);
        let Raises { first, raises } = &*counts.lock();
        assert_eq!((*first, raises.len()), (3, 0));
    }
}
