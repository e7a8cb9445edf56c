//! A bounded concurrent table of small entries, cleaned in small steps.

use std::{
    hash::BuildHasher,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::identity::StoreKey;

/// A `DashMap` has at least two shards and can only be cleaned or searched as a whole, so the table
/// is many small ones: 512 parts of two shards.
const MAX_PARTS: usize = 512;
const SHARDS_PER_PART: usize = 2;

/// A small table has fewer parts, so that an eviction has enough entries to choose from.
const ENTRIES_PER_PART: usize = 256;

/// How many parts an insertion into a full table searches for room.
pub(in crate::store) const NEARBY: usize = 4;

/// One of this many insertions sweeps a part.
const INSERTIONS_PER_SWEEP: usize = 64;

/// One of this many entries of a part is evicted at once, so that a search makes room for many
/// insertions.
const ENTRIES_PER_EVICTED: usize = 16;

/// A table of at most `capacity` entries. No call holds two locks, and none searches the whole table
/// unless it asks for it. The table never shrinks, because returning memory stalls readers.
pub(in crate::store) struct Table<V> {
    parts: Box<[DashMap<StoreKey, V, RandomState>]>,
    hasher: RandomState,
    capacity: usize,
    /// The number of entries and of [`Room`]s, without pinned entries.
    len: AtomicUsize,
    insertions: AtomicUsize,
    /// The number of entries that were looked at to make room.
    #[cfg(test)]
    pub(in crate::store) visited: AtomicUsize,
}

/// The right to insert one entry; returned when dropped.
pub(in crate::store) struct Room<'a>(&'a AtomicUsize);

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl<V> Table<V> {
    pub(in crate::store) fn new(capacity: usize) -> Self {
        let parts = (capacity / ENTRIES_PER_PART).clamp(1, MAX_PARTS).next_power_of_two();
        // Seeded at random, so that a client cannot choose keys of the same shard.
        let hasher = RandomState::default();
        let part = || {
            DashMap::with_capacity_and_hasher_and_shard_amount(0, hasher.clone(), SHARDS_PER_PART)
        };
        Self {
            parts: std::iter::repeat_with(part).take(parts).collect(),
            hasher,
            capacity,
            len: AtomicUsize::new(0),
            insertions: AtomicUsize::new(0),
            #[cfg(test)]
            visited: AtomicUsize::new(0),
        }
    }

    pub(in crate::store) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    pub(in crate::store) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Reads an entry under the read lock of its shard.
    pub(in crate::store) fn get<R>(&self, key: &StoreKey, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.parts[self.part_of(key)].get(key).map(|entry| read(&entry))
    }

    /// Inserts `value`, or reads the entry that exists and returns the room.
    pub(in crate::store) fn insert<R>(
        &self,
        room: Room<'_>,
        key: StoreKey,
        value: V,
        read: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        match self.parts[self.part_of(&key)].entry(key) {
            Entry::Occupied(entry) => Some(read(entry.get())),
            Entry::Vacant(entry) => {
                entry.insert(value);
                std::mem::forget(room);
                None
            }
        }
    }

    /// Inserts `value` beside the capacity, or lets `pin` change the entry that exists and takes it out
    /// of the capacity. The caller bounds pinned entries: neither `expired` nor `age` of the other
    /// methods may name one.
    pub(in crate::store) fn pin(&self, key: StoreKey, value: V, pin: impl FnOnce(&V)) {
        match self.parts[self.part_of(&key)].entry(key) {
            Entry::Occupied(entry) => {
                pin(entry.get());
                self.len.fetch_sub(1, Relaxed);
            }
            Entry::Vacant(entry) => drop(entry.insert(value)),
        }
    }

    /// Removes a pinned entry.
    pub(in crate::store) fn remove_pinned(&self, key: &StoreKey) {
        self.parts[self.part_of(key)].remove(key);
    }

    /// Removes an entry that is not pinned, if it is to be removed.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    pub(in crate::store) fn remove_if(&self, key: &StoreKey, is_removed: impl FnOnce(&V) -> bool) {
        let removed = self.parts[self.part_of(key)].remove_if(key, |_, entry| is_removed(entry));
        drop(removed.and_then(|_| self.room_of_removed(1)));
    }

    /// Takes room for one entry, unless the table is full.
    pub(in crate::store) fn room(&self) -> Option<Room<'_>> {
        let more = |len| (len < self.capacity).then_some(len + 1);
        self.len.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Room(&self.len))
    }

    /// Removes the expired entries of the next part, in one of [`INSERTIONS_PER_SWEEP`] calls. Call
    /// it before each insertion.
    pub(in crate::store) fn sweep_next(&self, expired: impl Fn(&V) -> bool) {
        let insertion = self.insertions.fetch_add(1, Relaxed);
        if insertion % INSERTIONS_PER_SWEEP == INSERTIONS_PER_SWEEP - 1 {
            let part = (insertion / INSERTIONS_PER_SWEEP) % self.parts.len();
            drop(self.sweep(&self.parts[part], &expired));
        }
    }

    /// Takes the room of an expired entry, from the part of `key` or the next ones.
    pub(in crate::store) fn room_of_expired(
        &self,
        key: &StoreKey,
        expired: impl Fn(&V) -> bool,
    ) -> Option<Room<'_>> {
        self.parts_from(key).take(NEARBY).find_map(|part| self.sweep(part, &expired))
    }

    /// Takes the room of an evicted entry, from the part of `key` or one of the next `parts - 1`. The
    /// entries with the smallest `age` are evicted first; those without one never.
    pub(in crate::store) fn room_of_oldest(
        &self,
        key: &StoreKey,
        parts: usize,
        age: impl Fn(&V) -> Option<u64>,
    ) -> Option<Room<'_>> {
        let evicted = self.parts_from(key).take(parts).find_map(|part| self.evict(part, &age));
        // If there was nothing to evict, another thread may have evicted more than it needed.
        evicted.or_else(|| self.room())
    }

    fn sweep(
        &self,
        part: &DashMap<StoreKey, V, RandomState>,
        expired: impl Fn(&V) -> bool,
    ) -> Option<Room<'_>> {
        let mut removed = 0;
        #[cfg(test)]
        self.visited.fetch_add(part.len(), Relaxed);
        part.retain(|_, entry| {
            let is_removed = expired(entry);
            removed += usize::from(is_removed);
            !is_removed
        });
        self.room_of_removed(removed)
    }

    fn evict(
        &self,
        part: &DashMap<StoreKey, V, RandomState>,
        age: impl Fn(&V) -> Option<u64>,
    ) -> Option<Room<'_>> {
        loop {
            #[cfg(test)]
            self.visited.fetch_add(part.len(), Relaxed);
            let mut ages: Vec<u64> = part.iter().filter_map(|entry| age(entry.value())).collect();
            let share = ages.len().div_ceil(ENTRIES_PER_EVICTED);
            let (_, latest, _) = ages.select_nth_unstable(share.checked_sub(1)?);
            let mut removed = 0;
            part.retain(|_, entry| {
                let is_removed = removed < share && age(entry).is_some_and(|age| age <= *latest);
                removed += usize::from(is_removed);
                !is_removed
            });
            // None is removed if all were touched or removed since their ages were read.
            if removed > 0 {
                return self.room_of_removed(removed);
            }
        }
    }

    /// Gives the room of the first removed entry to the caller, so that no other thread takes it.
    fn room_of_removed(&self, removed: usize) -> Option<Room<'_>> {
        let others = removed.checked_sub(1)?;
        self.len.fetch_sub(others, Relaxed);
        Some(Room(&self.len))
    }

    fn parts_from(
        &self,
        key: &StoreKey,
    ) -> impl Iterator<Item = &DashMap<StoreKey, V, RandomState>> {
        let (before, from) = self.parts.split_at(self.part_of(key));
        from.iter().chain(before)
    }

    /// Uses bits of the hash that a part does not: a part uses the lowest and the highest.
    fn part_of(&self, key: &StoreKey) -> usize {
        let upper = self.hasher.hash_one(key) >> 32;
        usize::try_from(upper).unwrap_or_default() & (self.parts.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn key(id: usize) -> StoreKey {
        StoreKey::session(None, &id.to_string())
    }

    fn put(table: &Table<u64>, id: usize, value: u64) -> bool {
        let Some(room) = table.room() else { return false };
        table.insert(room, key(id), value, |_| ()).is_none()
    }

    fn known(table: &Table<u64>, ids: std::ops::Range<usize>) -> usize {
        ids.filter(|&id| table.get(&key(id), |_| ()).is_some()).count()
    }

    #[test]
    fn unused_room_is_returned() {
        let table = Table::new(1);
        let room = table.room();
        assert!(room.is_some());
        assert!(table.room().is_none());
        drop(room);
        assert!(put(&table, 1, 0));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn an_existing_entry_is_kept_and_counted_once() {
        let table = Table::new(8);
        assert!(put(&table, 1, 10));
        let room = table.room().expect("the table has room");
        assert_eq!(table.insert(room, key(1), 20, |first| *first), Some(10));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn p15_sweeps_reach_every_part() {
        let table = Table::new(MAX_PARTS * ENTRIES_PER_PART);
        (0..5_000).for_each(|id| assert!(put(&table, id, 7)));
        assert_eq!(known(&table, 0..5_000), 5_000);
        (0..MAX_PARTS * INSERTIONS_PER_SWEEP).for_each(|_| table.sweep_next(|&value| value == 7));
        assert_eq!((table.len(), known(&table, 0..5_000)), (0, 0));
    }

    #[test]
    fn p15_one_of_many_insertions_sweeps() {
        let table = Table::new(ENTRIES_PER_PART);
        assert!(put(&table, 1, 7));
        for round in 0..2 {
            (1..INSERTIONS_PER_SWEEP).for_each(|_| table.sweep_next(|_| true));
            assert_eq!(table.len(), 1, "round {round}");
            table.sweep_next(|_| round > 0);
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn the_oldest_entries_are_evicted_and_those_without_an_age_are_kept() {
        let table = Table::new(100);
        (0..100).for_each(|id| assert!(put(&table, id, id as u64)));
        let age = |&value: &u64| (value >= 50).then_some(value);
        let room = table.room_of_oldest(&key(0), 1, age);
        assert!(room.is_some());
        let evicted = 50_usize.div_ceil(ENTRIES_PER_EVICTED);
        assert_eq!(known(&table, 50..50 + evicted), 0);
        assert_eq!(known(&table, 0..100), 100 - evicted);
        assert_eq!(table.len(), 100 - evicted + 1, "the caller holds the room of one");
        drop(room);
        assert_eq!(table.len(), 100 - evicted);
        (100..100 + evicted).for_each(|id| assert!(put(&table, id, 0)));
        assert!(table.room_of_oldest(&key(0), 1, |_| None).is_none(), "full, and all of it stays");
    }

    #[test]
    fn of_entries_of_one_age_no_more_than_the_share_is_evicted() {
        let table = Table::new(100);
        (0..100).for_each(|id| assert!(put(&table, id, 7)));
        drop(table.room_of_oldest(&key(0), 1, |&value| Some(value)));
        assert_eq!(known(&table, 0..100), 100 - 100_usize.div_ceil(ENTRIES_PER_EVICTED));
    }

    #[test]
    fn an_entry_touched_while_it_is_chosen_still_makes_room() {
        let table = Table::new(1);
        assert!(put(&table, 1, 0));
        let looks = std::cell::Cell::new(0);
        let age = |_: &u64| Some(looks.replace(looks.get() + 1).min(2));
        assert!(table.room_of_oldest(&key(2), 1, age).is_some());
    }

    #[test]
    fn p31_pinned_entries_take_no_room() {
        let table = Table::new(2);
        assert!(put(&table, 1, 0) && put(&table, 2, 0));
        assert!(!put(&table, 3, 0));
        let pinned = std::cell::Cell::new(0);
        for id in [1, 4] {
            table.pin(key(id), 7, |_| pinned.set(pinned.get() + 1));
        }
        assert_eq!((table.len(), pinned.get()), (1, 1));
        assert!(put(&table, 3, 0));
        assert!(!put(&table, 5, 0));
        assert_eq!(known(&table, 0..9), 4);
        for id in [1, 4] {
            table.remove_pinned(&key(id));
        }
        assert_eq!((table.len(), known(&table, 0..9)), (2, 2));
    }

    #[test]
    fn p15_the_capacity_holds_from_many_threads() {
        let table = Table::new(1_000);
        thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    (0..2_000).for_each(|id| {
                        put(table, thread * 2_000 + id, 0);
                    });
                });
            }
        });
        assert_eq!((table.len(), known(&table, 0..8_000)), (1_000, 1_000));
    }

    #[test]
    fn entries_spread_over_all_parts() {
        let table = Table::new(usize::MAX);
        (0..20_000).for_each(|id| assert!(put(&table, id, 0)));
        assert_eq!(table.parts.len(), MAX_PARTS);
        assert!(table.parts.iter().all(|part| !part.is_empty()));
    }
}
