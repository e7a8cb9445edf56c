//! The order of the tombstones in memory: by user, and by when they expire.

use std::collections::{BTreeMap, BTreeSet};

use super::records::{key_of, number};
use crate::{identity::StoreKey, time::Timestamp};

/// How many expired tombstones an insertion removes. More than one, or they would accumulate.
const REMOVED_PER_INSERTION: usize = 4;

/// Whether a tombstone can be folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::memory) enum Kind {
    /// The session did not begin in this store, or the store has lost its record.
    Foreign,
    /// The session began in this store, which has the records of the user's other sessions then.
    Begun,
}

/// User, kind and session.
type Position = (u128, Kind, u128);

/// At most `capacity` tombstones. The entry of the session in the table says until when each is kept.
pub(in crate::store::memory) struct Tombstones {
    capacity: usize,
    by_user: BTreeMap<Position, Kept>,
    by_expiry: BTreeSet<(Timestamp, Position)>,
}

struct Kept {
    /// The epoch of the session.
    epoch: Timestamp,
    /// Its instant in `by_expiry`: when it expires, unless that was put off since.
    expires_at: Timestamp,
}

impl Tombstones {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { capacity, by_user: BTreeMap::new(), by_expiry: BTreeSet::new() }
    }

    pub(in crate::store::memory) fn len(&self) -> usize {
        self.by_user.len()
    }

    pub(in crate::store::memory) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Inserts the tombstone of a session that has none, unless there is no room. Returns whether it
    /// did.
    pub(in crate::store::memory) fn insert(
        &mut self,
        (user, kind, session): (StoreKey, Kind, StoreKey),
        epoch: Timestamp,
        expires_at: Timestamp,
    ) -> bool {
        let has_room = self.len() < self.capacity;
        if has_room {
            let position = (number(user), kind, number(session));
            self.by_user.insert(position, Kept { epoch, expires_at });
            self.by_expiry.insert((expires_at, position));
        }
        has_room
    }

    /// Returns the sessions of the tombstones of a user, with their epochs.
    pub(in crate::store::memory) fn of_user(
        &self,
        user: StoreKey,
        kind: Kind,
    ) -> impl Iterator<Item = (StoreKey, Timestamp)> {
        let user = number(user);
        let tombstones = self.by_user.range((user, kind, 0)..=(user, kind, u128::MAX));
        tombstones.map(|(&(_, _, session), kept)| (key_of(session), kept.epoch))
    }

    pub(in crate::store::memory) fn count(&self, user: StoreKey, kind: Kind) -> usize {
        self.of_user(user, kind).count()
    }

    pub(in crate::store::memory) fn remove(
        &mut self,
        user: StoreKey,
        kind: Kind,
        session: StoreKey,
    ) {
        let position = (number(user), kind, number(session));
        if let Some(kept) = self.by_user.remove(&position) {
            self.by_expiry.remove(&(kept.expires_at, position));
        }
    }

    /// Removes some tombstones that have expired, and returns their sessions: a few at each insertion, so
    /// that none looks at all of them. `until` returns until when the one of a session is kept.
    pub(in crate::store::memory) fn remove_expired(
        &mut self,
        now: Timestamp,
        until: impl Fn(&StoreKey) -> Timestamp,
    ) -> Vec<StoreKey> {
        let mut removed = Vec::new();
        for _ in 0..REMOVED_PER_INSERTION {
            let Some(&(known, position)) = self.by_expiry.first() else { break };
            if now < known {
                break;
            }
            self.by_expiry.pop_first();
            let session = key_of(position.2);
            let until = until(&session);
            if now < until {
                self.by_expiry.insert((until, position));
                self.by_user.entry(position).and_modify(|kept| kept.expires_at = until);
            } else {
                self.by_user.remove(&position);
                removed.push(session);
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn session(id: u64) -> StoreKey {
        StoreKey::session(None, &id.to_string())
    }

    fn user(name: &str) -> StoreKey {
        StoreKey::user(None, None, name)
    }

    fn insert(tombstones: &mut Tombstones, name: &str, kind: Kind, id: u64) -> bool {
        tombstones.insert((user(name), kind, session(id)), at(id), at(1000 + id))
    }

    fn epochs(tombstones: &Tombstones, name: &str, kind: Kind) -> Vec<u64> {
        let tombstones = tombstones.of_user(user(name), kind);
        let mut epochs: Vec<_> = tombstones.map(|(_, epoch)| epoch.as_millis()).collect();
        epochs.sort_unstable();
        epochs
    }

    #[test]
    fn p15_tombstones_stay_within_the_capacity() {
        let mut tombstones = Tombstones::new(3);
        assert!((1..4).all(|id| insert(&mut tombstones, "ada", Kind::Begun, id)));
        assert!(!insert(&mut tombstones, "ada", Kind::Begun, 4));
        assert_eq!(epochs(&tombstones, "ada", Kind::Begun), [1, 2, 3]);
        tombstones.remove(user("ada"), Kind::Begun, session(2));
        assert_eq!((tombstones.by_user.len(), tombstones.by_expiry.len()), (2, 2));
        assert!(insert(&mut tombstones, "ada", Kind::Begun, 4));
    }

    #[test]
    fn p31_tombstones_are_found_by_user_and_kind() {
        let mut tombstones = Tombstones::new(99);
        for (name, kind, id) in [
            ("ada", Kind::Begun, 1),
            ("ada", Kind::Foreign, 2),
            ("bob", Kind::Begun, 3),
            ("ada", Kind::Begun, 4),
        ] {
            assert!(insert(&mut tombstones, name, kind, id));
        }
        assert_eq!(epochs(&tombstones, "ada", Kind::Begun), [1, 4]);
        assert_eq!(epochs(&tombstones, "ada", Kind::Foreign), [2]);
        assert_eq!(epochs(&tombstones, "bob", Kind::Begun), [3]);
    }

    #[test]
    fn p22_a_tombstone_is_removed_when_it_has_expired_and_not_before() {
        let mut tombstones = Tombstones::new(99);
        (1..20).for_each(|id| assert!(insert(&mut tombstones, "ada", Kind::Begun, id)));
        let put_off = |key: &StoreKey| if *key == session(1) { at(2000) } else { at(0) };
        assert_eq!(tombstones.remove_expired(at(1000), put_off), []);
        assert_eq!(tombstones.remove_expired(at(1002), put_off), [session(2)]);
        let some = tombstones.remove_expired(at(1999), put_off);
        assert_eq!(some, [3, 4, 5, 6].map(session), "a few at a time");
        while !tombstones.remove_expired(at(1999), put_off).is_empty() {}
        assert_eq!(epochs(&tombstones, "ada", Kind::Begun), [1], "put off since");
        assert_eq!(tombstones.remove_expired(at(2000), put_off), [session(1)]);
        assert_eq!((tombstones.by_user.len(), tombstones.by_expiry.len()), (0, 0));
    }
}
