//! The tombstones that a node holds: what it has heard of stays true when the store has lost it.

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use super::Change;
use crate::{
    identity::StoreKey,
    store::tombstone::{MAX_PER_USER, MAX_UNFOLDED},
    time::Timestamp,
};

/// The most tombstones that a node holds, in some 100 bytes each: as many as the sessions that it caches.
const CAPACITY: usize = 1 << 20;

/// The most of one user: as many as a store keeps.
const MAX_OF_USER: usize = MAX_PER_USER + MAX_UNFOLDED;

/// The tombstones that this node has written, read or heard of, until they expire.
///
/// The store decides how many there are of one user, and folds them; the bounds here are those of the
/// stores. A tombstone without room is not held: the store has it, and would not get it back after a loss.
pub(in crate::store) struct HeldTombstones {
    capacity: usize,
    sessions: DashMap<StoreKey, Held, RandomState>,
    /// How many there are of each user.
    users: DashMap<StoreKey, usize, RandomState>,
}

#[derive(Clone, Copy)]
struct Held {
    user: Option<StoreKey>,
    until: Timestamp,
}

impl Default for HeldTombstones {
    fn default() -> Self {
        Self { capacity: CAPACITY, sessions: DashMap::default(), users: DashMap::default() }
    }
}

impl HeldTombstones {
    /// Holds a tombstone, if there is room; the later `until` counts.
    pub(in crate::store) fn hold(
        &self,
        session: StoreKey,
        user: Option<StoreKey>,
        until: Timestamp,
    ) {
        if let Some(mut held) = self.sessions.get_mut(&session) {
            held.until = held.until.max(until);
            return;
        }
        if self.sessions.len() >= self.capacity {
            return;
        }
        // One whose user is not known counts for itself.
        let mut count = self.users.entry(user.unwrap_or(session)).or_insert(0);
        if *count >= MAX_OF_USER {
            return;
        }
        if let Entry::Vacant(entry) = self.sessions.entry(session) {
            entry.insert(Held { user, until });
            *count += 1;
        }
    }

    /// Returns until when the tombstone of a session is held.
    pub(in crate::store) fn until(&self, session: &StoreKey) -> Option<Timestamp> {
        self.sessions.get(session).map(|held| held.until)
    }

    /// Removes the tombstone of a session that is folded.
    pub(in crate::store) fn remove(&self, session: &StoreKey) {
        if let Some((_, held)) = self.sessions.remove(session) {
            self.count_off(held.user.unwrap_or(*session));
        }
    }

    /// Removes the tombstones that are kept until `now` or less; O(n) in their number.
    pub(in crate::store) fn remove_expired(&self, now: Timestamp) {
        let mut removed = Vec::new();
        self.sessions.retain(|session, held| {
            let is_kept = now < held.until;
            if !is_kept {
                removed.push(held.user.unwrap_or(*session));
            }
            is_kept
        });
        for user in removed {
            self.count_off(user);
        }
    }

    /// Returns them as changes.
    pub(in crate::store) fn changes(&self) -> Vec<Change> {
        let change = |session, Held { user, until }| Change::Revoked { session, user, until };
        self.sessions.iter().map(|held| change(*held.key(), *held.value())).collect()
    }

    fn count_off(&self, user: StoreKey) {
        if let Some(mut count) = self.users.get_mut(&user) {
            *count = count.saturating_sub(1);
        }
        self.users.remove_if(&user, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> StoreKey {
        StoreKey::session(None, name)
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn p31_a_user_takes_no_room_of_others_among_the_tombstones_that_a_node_holds() {
        let held = HeldTombstones { capacity: MAX_OF_USER + 2, ..HeldTombstones::default() };
        for number in 0..MAX_OF_USER + 9 {
            held.hold(key(&number.to_string()), Some(key("ada")), at(9));
        }
        assert_eq!(held.changes().len(), MAX_OF_USER);
        held.hold(key("bob's"), Some(key("bob")), at(9));
        held.hold(key("unknown user's"), None, at(9));
        assert!(
            held.until(&key("bob's")).is_some() && held.until(&key("unknown user's")).is_some()
        );
        held.hold(key("one more"), Some(key("bob")), at(9));
        assert_eq!(held.until(&key("one more")), None, "there is no room");
        held.remove(&key("0"));
        held.hold(key("one more"), Some(key("ada")), at(9));
        assert!(held.until(&key("one more")).is_some(), "there is room again");
    }

    #[test]
    fn p15_an_expired_tombstone_is_held_no_longer() {
        let held = HeldTombstones::default();
        held.hold(key("s"), Some(key("ada")), at(9));
        held.hold(key("s"), Some(key("ada")), at(20));
        held.hold(key("s"), Some(key("ada")), at(10));
        held.remove_expired(at(19));
        assert_eq!(held.until(&key("s")), Some(at(20)));
        held.remove_expired(at(20));
        assert_eq!(held.until(&key("s")), None);
        assert!(held.users.is_empty());
    }
}
