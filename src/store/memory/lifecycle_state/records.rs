//! The records of sessions: by key, by scope, and by when they end.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use foldhash::fast::RandomState;

use crate::{
    identity::StoreKey,
    store::{Cursor, SessionRecord},
    time::Timestamp,
};

/// How many records an insertion looks at to clear those that are over. More than one, or they
/// would pile up.
const LOOKED_AT: usize = 16;

/// At most `capacity` records. Those that are over are cleared little by little; where none is,
/// the one that would end first makes room.
pub(in crate::store::memory) struct Records {
    capacity: usize,
    by_key: HashMap<StoreKey, Kept, RandomState>,
    /// Scope, sign-in and key of each record, once a scope.
    by_scope: BTreeSet<(u128, u64, u128)>,
    /// When each record is over, unless its session has been active since.
    by_end: BTreeSet<(Timestamp, u128)>,
}

struct Kept {
    record: Box<SessionRecord>,
    /// Where it stands in `by_end`.
    end: Timestamp,
}

impl Records {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            by_key: HashMap::default(),
            by_scope: BTreeSet::new(),
            by_end: BTreeSet::new(),
        }
    }

    pub(in crate::store::memory) fn get(&self, key: &StoreKey) -> Option<&SessionRecord> {
        self.by_key.get(key).map(|kept| &*kept.record)
    }

    /// Inserts a record in place of one with the same key. `end_of` tells when a record is over,
    /// as far as is known.
    pub(in crate::store::memory) fn insert(
        &mut self,
        record: SessionRecord,
        now: Timestamp,
        end_of: impl Fn(&SessionRecord) -> Timestamp,
    ) {
        self.remove(&record.key);
        if self.capacity == 0 {
            return;
        }
        self.clear(now, &end_of);
        for place in places(&record) {
            self.by_scope.insert(place);
        }
        let (key, end) = (record.key, end_of(&record));
        self.by_end.insert((end, number(key)));
        self.by_key.insert(key, Kept { record: Box::new(record), end });
    }

    pub(in crate::store::memory) fn remove(&mut self, key: &StoreKey) -> Option<SessionRecord> {
        let Kept { record, end } = self.by_key.remove(key)?;
        self.by_end.remove(&(end, number(*key)));
        for place in places(&record) {
            self.by_scope.remove(&place);
        }
        Some(*record)
    }

    /// Moves the last activity to `now`, never backwards.
    pub(in crate::store::memory) fn touch(&mut self, key: &StoreKey, now: Timestamp) {
        if let Some(kept) = self.by_key.get_mut(key) {
            kept.record.last_seen = kept.record.last_seen.max(now);
        }
    }

    /// The records of a scope behind `after`, the latest sign-in first.
    pub(in crate::store::memory) fn latest(
        &self,
        scope: StoreKey,
        after: Option<&Cursor>,
    ) -> impl Iterator<Item = &SessionRecord> {
        let scope = number(scope);
        let latest = after.map_or(Bound::Included((scope, u64::MAX, u128::MAX)), |cursor| {
            Bound::Excluded((scope, cursor.at, cursor.id))
        });
        let places = self.by_scope.range((Bound::Included((scope, 0, 0)), latest));
        places.rev().filter_map(|&(_, _, key)| self.get(&key_of(key)))
    }

    /// Clears some records that are over, and makes room for one more.
    fn clear(&mut self, now: Timestamp, end_of: impl Fn(&SessionRecord) -> Timestamp) {
        for _ in 0..LOOKED_AT {
            let Some(&(end, number)) = self.by_end.first() else { return };
            if now < end && self.by_key.len() < self.capacity {
                return;
            }
            let key = key_of(number);
            let Some(kept) = self.by_key.get_mut(&key) else { return };
            let known = end_of(&kept.record);
            if known > end {
                kept.end = known;
                self.by_end.remove(&(end, number));
                self.by_end.insert((known, number));
            } else {
                self.remove(&key);
            }
        }
        if self.by_key.len() >= self.capacity
            && let Some(&(_, first)) = self.by_end.first()
        {
            self.remove(&key_of(first));
        }
    }
}

/// Where a record stands in the lists of its scopes.
fn places(record: &SessionRecord) -> impl Iterator<Item = (u128, u64, u128)> + use<> {
    let (at, key) = (record.auth_time.as_millis(), number(record.key));
    record.scopes.keys().map(move |scope| (number(scope), at, key))
}

/// The place of a record in a list.
pub(in crate::store::memory) fn cursor(record: &SessionRecord) -> Cursor {
    Cursor::new(record.auth_time.as_millis(), number(record.key))
}

/// A key as it is ordered by.
fn number(key: StoreKey) -> u128 {
    u128::from_be_bytes(*key.as_bytes())
}

fn key_of(number: u128) -> StoreKey {
    StoreKey::from_bytes(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{identity::Scopes, store::ListQuery};

    fn record(id: u64, ends: u64) -> SessionRecord {
        let at = Timestamp::from_millis(id);
        SessionRecord {
            key: StoreKey::session(None, &id.to_string()),
            sid: id.to_string(),
            sub: "ada".to_owned(),
            tenant: None,
            profile: None,
            scopes: Scopes::new(None, None, "ada"),
            auth_time: at,
            epoch: at,
            idle: Duration::MAX,
            ends_at: Timestamp::from_millis(ends),
            last_seen: at,
        }
    }

    fn kept(records: &Records) -> Vec<u64> {
        let scope = Scopes::new(None, None, "ada").user;
        records.latest(scope, None).map(|record| record.auth_time.as_millis()).collect()
    }

    fn counts(records: &Records) -> [usize; 3] {
        [records.by_key.len(), records.by_end.len(), records.by_scope.len() / 2]
    }

    #[test]
    fn p15_records_stay_within_the_capacity_and_the_first_to_end_goes() {
        let mut records = Records::new(3);
        for (id, ends) in [(1, 900), (2, 700), (3, 800), (4, 999)] {
            records.insert(record(id, ends), Timestamp::EPOCH, |record| record.ends_at);
        }
        assert_eq!(kept(&records), [4, 3, 1]);
        assert_eq!(counts(&records), [3; 3]);
        let mut none = Records::new(0);
        none.insert(record(1, 900), Timestamp::EPOCH, |record| record.ends_at);
        assert_eq!(counts(&none), [0; 3]);
    }

    #[test]
    fn p15_records_that_are_over_are_cleared_and_active_ones_stay() {
        let mut records = Records::new(100);
        for id in 0..50 {
            records.insert(record(id, 700), Timestamp::EPOCH, |record| record.ends_at);
        }
        let later = |record: &SessionRecord| {
            let active = record.auth_time.as_millis() == 7;
            if active { Timestamp::MAX } else { record.ends_at }
        };
        for id in 50..60 {
            records.insert(record(id, 900), Timestamp::from_millis(699), later);
        }
        assert_eq!(counts(&records), [60; 3], "none is over");
        for id in 60..70 {
            records.insert(record(id, 900), Timestamp::from_millis(700), later);
        }
        assert_eq!(kept(&records), (50..70).rev().chain([7]).collect::<Vec<_>>());
        assert_eq!(counts(&records), [21; 3]);
    }

    #[test]
    fn a_record_replaced_or_removed_leaves_nothing_behind() {
        let mut records = Records::new(10);
        records.insert(record(1, 900), Timestamp::EPOCH, |record| record.ends_at);
        records.insert(record(1, 950), Timestamp::EPOCH, |record| record.ends_at);
        assert_eq!(counts(&records), [1; 3]);
        assert!(records.remove(&record(1, 0).key).is_some());
        assert_eq!(counts(&records), [0; 3]);
    }

    #[test]
    fn a_list_goes_on_behind_its_cursor() {
        let mut records = Records::new(10);
        for id in 1..=5 {
            records.insert(record(id, 900), Timestamp::EPOCH, |record| record.ends_at);
        }
        let scope = Scopes::new(None, None, "ada").everything;
        let query = ListQuery::first(2).after(cursor(&record(4, 900)));
        let rest: Vec<_> = records.latest(scope, query.cursor()).map(|r| r.sid.as_str()).collect();
        assert_eq!(rest, ["3", "2", "1"]);
    }
}
