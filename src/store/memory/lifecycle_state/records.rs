//! Session records in memory: by key, by scope, and by expiry.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
};

use foldhash::fast::RandomState;

use super::evictions::Evictions;
use crate::{
    identity::StoreKey,
    store::{Cursor, RefreshedSession, SessionRecord, TokenExchange},
    time::Timestamp,
};

/// How many records an insertion checks for expiry. More than one, or expired records would
/// accumulate.
const CHECKED_PER_INSERTION: usize = 16;

/// At most `capacity` records. Expired ones are removed in small steps; if there is none, the
/// earliest sign-in of the same user is evicted, else the record that expires first.
pub(in crate::store::memory) struct Records {
    capacity: usize,
    by_key: HashMap<StoreKey, Kept, RandomState>,
    /// Scope, sign-in and key of each record, once a scope.
    by_scope: BTreeSet<(u128, u64, u128)>,
    /// When each record expires, unless its session has been active since.
    by_expiry: BTreeSet<(Timestamp, u128)>,
    evictions: Evictions,
}

/// When a session expires without another activity.
#[derive(Clone, Copy)]
pub(in crate::store::memory) struct Expiry {
    pub(in crate::store::memory) at: Timestamp,
    /// Whether the last activity is known; if not, the session may be active later.
    pub(in crate::store::memory) is_known: bool,
}

/// Where the record of a session comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::memory) enum Origin {
    /// The session began in this store.
    Begun,
    /// A token of a session that the store did not know.
    Token,
}

struct Kept {
    record: Box<SessionRecord>,
    origin: Origin,
    /// The generation whose refresh token may be exchanged, and the exchange that led to it.
    generation: u32,
    exchange: Option<TokenExchange>,
    /// Its instant in `by_expiry`.
    expires_at: Timestamp,
}

impl Records {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            by_key: HashMap::default(),
            by_scope: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
            evictions: Evictions::default(),
        }
    }

    /// Every active session that has begun later has a record.
    pub(in crate::store::memory) const fn evicted_epoch(&self) -> Timestamp {
        self.evictions.epoch()
    }

    /// Whether every active session of a user has a record at `now`.
    pub(in crate::store::memory) fn are_complete(&self, user: &StoreKey, now: Timestamp) -> bool {
        self.evictions.has_none_of(user, now)
    }

    /// Returns the epoch of a session that began in this store and has a record.
    pub(in crate::store::memory) fn begun_epoch(&self, key: &StoreKey) -> Option<Timestamp> {
        let kept = self.by_key.get(key).filter(|kept| kept.origin == Origin::Begun)?;
        Some(kept.record.epoch)
    }

    pub(in crate::store::memory) fn get(&self, key: &StoreKey) -> Option<&SessionRecord> {
        self.by_key.get(key).map(|kept| &*kept.record)
    }

    /// Returns what is known of the refreshes of a session, but for its activity.
    pub(in crate::store::memory) fn refreshed(&self, key: &StoreKey) -> Option<RefreshedSession> {
        let Kept { record, generation, exchange, .. } = self.by_key.get(key)?;
        let (generation, exchange) = (*generation, exchange.clone());
        Some(RefreshedSession { last_seen: record.last_seen, generation, exchange, presented: 0 })
    }

    /// Records the exchange that leads to `generation`.
    pub(in crate::store::memory) fn exchange(
        &mut self,
        key: &StoreKey,
        generation: u32,
        exchange: TokenExchange,
    ) {
        if let Some(kept) = self.by_key.get_mut(key) {
            kept.generation = generation;
            kept.exchange = Some(exchange);
        }
    }

    /// Inserts a record, or replaces the one with the same key. `expiry` returns when a record
    /// expires, as far as is known.
    pub(in crate::store::memory) fn insert(
        &mut self,
        record: SessionRecord,
        origin: Origin,
        now: Timestamp,
        expiry: impl Fn(&SessionRecord) -> Expiry,
    ) {
        self.remove(&record.key);
        if self.capacity == 0 {
            self.evictions.add(&record, now);
            return;
        }
        self.make_room(record.scopes.user, now, &expiry);
        for position in positions(&record) {
            self.by_scope.insert(position);
        }
        let (key, expires_at) = (record.key, expiry(&record).at);
        self.by_expiry.insert((expires_at, number(key)));
        self.by_key.insert(
            key,
            Kept { record: Box::new(record), origin, generation: 0, exchange: None, expires_at },
        );
    }

    pub(in crate::store::memory) fn remove(&mut self, key: &StoreKey) -> Option<SessionRecord> {
        let Kept { record, expires_at, .. } = self.by_key.remove(key)?;
        self.by_expiry.remove(&(expires_at, number(*key)));
        for position in positions(&record) {
            self.by_scope.remove(&position);
        }
        Some(*record)
    }

    /// Moves the last activity to `now`, never backwards.
    pub(in crate::store::memory) fn touch(&mut self, key: &StoreKey, now: Timestamp) {
        if let Some(kept) = self.by_key.get_mut(key) {
            kept.record.last_seen = kept.record.last_seen.max(now);
        }
    }

    /// Returns the records of a scope after the cursor, the latest sign-in first.
    pub(in crate::store::memory) fn latest(
        &self,
        scope: StoreKey,
        after: Option<&Cursor>,
    ) -> impl Iterator<Item = &SessionRecord> {
        let scope = number(scope);
        let latest = after.map_or(Bound::Included((scope, u64::MAX, u128::MAX)), |cursor| {
            Bound::Excluded((scope, cursor.at, cursor.id))
        });
        let positions = self.by_scope.range((Bound::Included((scope, 0, 0)), latest));
        positions.rev().filter_map(|&(_, _, key)| self.get(&key_of(key)))
    }

    /// Removes some expired records, and makes room for one more of `user`.
    ///
    /// The user's own earliest sign-in is evicted first, so that no user displaces others (P31).
    fn make_room(
        &mut self,
        user: StoreKey,
        now: Timestamp,
        expiry: impl Fn(&SessionRecord) -> Expiry,
    ) {
        for _ in 0..CHECKED_PER_INSERTION {
            match self.first_to_expire(&expiry) {
                Some((key, end)) if now >= end => self.evict(&key, now, &expiry),
                _ => break,
            }
        }
        if self.by_key.len() < self.capacity {
            return;
        }
        let user = number(user);
        let own = self.by_scope.range((user, 0, 0)..=(user, u64::MAX, u128::MAX)).next();
        let own = own.map(|&(_, _, key)| key_of(key));
        if let Some(key) = own.or_else(|| self.first_to_expire(&expiry).map(|(key, _)| key)) {
            self.evict(&key, now, &expiry);
        }
    }

    /// Removes a record, and remembers it if its session may be active.
    fn evict(&mut self, key: &StoreKey, now: Timestamp, expiry: impl Fn(&SessionRecord) -> Expiry) {
        let Some(record) = self.remove(key) else { return };
        let Expiry { at, is_known } = expiry(&record);
        if now < if is_known { at } else { record.ends_at } {
            self.evictions.add(&record, now);
        }
    }

    /// Returns the record that expires first, as far as a few steps tell, and when.
    fn first_to_expire(
        &mut self,
        expiry: impl Fn(&SessionRecord) -> Expiry,
    ) -> Option<(StoreKey, Timestamp)> {
        for _ in 0..CHECKED_PER_INSERTION {
            let &(end, number) = self.by_expiry.first()?;
            let key = key_of(number);
            let kept = self.by_key.get_mut(&key)?;
            let known = expiry(&kept.record).at;
            if known <= end {
                return Some((key, end));
            }
            kept.expires_at = known;
            self.by_expiry.remove(&(end, number));
            self.by_expiry.insert((known, number));
        }
        self.by_expiry.first().map(|&(end, number)| (key_of(number), end))
    }
}

/// Returns the positions of a record in the lists of its scopes.
fn positions(record: &SessionRecord) -> impl Iterator<Item = (u128, u64, u128)> + use<> {
    let (at, key) = (record.auth_time.as_millis(), number(record.key));
    record.scopes.keys().map(move |scope| (number(scope), at, key))
}

/// Returns the cursor of a record.
pub(in crate::store::memory) fn cursor(record: &SessionRecord) -> Cursor {
    Cursor::new(record.auth_time.as_millis(), number(record.key))
}

/// Returns a key as the number that it is ordered by.
pub(super) fn number(key: StoreKey) -> u128 {
    u128::from_be_bytes(*key.as_bytes())
}

pub(super) fn key_of(number: u128) -> StoreKey {
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
            is_adopted: false,
            last_seen: at,
            label: None,
        }
    }

    fn at_its_end(record: &SessionRecord) -> Expiry {
        Expiry { at: record.ends_at, is_known: true }
    }

    fn kept(records: &Records) -> Vec<u64> {
        let scope = Scopes::new(None, None, "ada").user;
        records.latest(scope, None).map(|record| record.auth_time.as_millis()).collect()
    }

    fn counts(records: &Records) -> [usize; 3] {
        [records.by_key.len(), records.by_expiry.len(), records.by_scope.len() / 3]
    }

    #[test]
    fn p15_records_stay_within_the_capacity() {
        let mut records = Records::new(3);
        for (id, ends) in [(1, 900), (2, 700), (3, 800), (4, 999)] {
            records.insert(record(id, ends), Origin::Begun, Timestamp::EPOCH, at_its_end);
        }
        assert_eq!(kept(&records), [4, 3, 2]);
        assert_eq!(counts(&records), [3; 3]);
        let mut none = Records::new(0);
        none.insert(record(1, 900), Origin::Begun, Timestamp::EPOCH, at_its_end);
        assert_eq!(counts(&none), [0; 3]);
    }

    #[test]
    fn p31_a_users_own_earliest_record_is_evicted_first() {
        let mut records = Records::new(3);
        let of = |sub: &str, id, ends| SessionRecord {
            scopes: Scopes::new(None, None, sub),
            ..record(id, ends)
        };
        let expiry = at_its_end;
        records.insert(of("bob", 1, 600), Origin::Begun, Timestamp::EPOCH, expiry);
        for id in 2..1000 {
            records.insert(of("ada", id, 900 + id), Origin::Begun, Timestamp::EPOCH, expiry);
        }
        assert_eq!(kept(&records), [999, 998]);
        assert!(records.get(&record(1, 0).key).is_some(), "another user's record is kept");
        records.insert(of("eve", 1000, 900), Origin::Begun, Timestamp::EPOCH, expiry);
        assert!(records.get(&record(1, 0).key).is_none(), "a new user's takes the first to expire");
        assert_eq!(counts(&records), [3; 3]);
    }

    #[test]
    fn p33_the_latest_evicted_session_that_may_be_active_is_remembered() {
        let at = Timestamp::from_millis;
        let unknown = |record: &SessionRecord| Expiry { is_known: false, at: record.epoch };
        let idle = |_: &SessionRecord| Expiry { is_known: true, at: at(800) };
        let mut records = Records::new(2);
        records.insert(record(5, 1000), Origin::Begun, at(0), idle);
        records.insert(record(6, 1000), Origin::Begun, at(800), idle);
        assert_eq!((kept(&records), records.evicted_epoch()), (vec![6], at(0)), "it was idle");
        records.insert(record(7, 1000), Origin::Begun, at(999), unknown);
        assert_eq!((kept(&records), records.evicted_epoch()), (vec![7], at(6)), "or active");
        records.insert(record(8, 2000), Origin::Begun, at(1000), unknown);
        assert_eq!((kept(&records), records.evicted_epoch()), (vec![8], at(6)), "past its end");
        records.insert(record(9, 2000), Origin::Begun, at(0), at_its_end);
        assert_eq!(records.evicted_epoch(), at(6), "there is room");
        records.insert(record(10, 2000), Origin::Begun, at(0), at_its_end);
        assert_eq!((kept(&records), records.evicted_epoch()), (vec![10, 9], at(8)), "no room");
        let mut none = Records::new(0);
        none.insert(record(1, 900), Origin::Begun, at(0), at_its_end);
        assert_eq!(none.evicted_epoch(), at(1));
    }

    #[test]
    fn p15_expired_records_are_removed_and_active_ones_are_kept() {
        let mut records = Records::new(100);
        for id in 0..50 {
            records.insert(record(id, 700), Origin::Begun, Timestamp::EPOCH, at_its_end);
        }
        let later = |record: &SessionRecord| {
            let active = record.auth_time.as_millis() == 7;
            let at = if active { Timestamp::MAX } else { record.ends_at };
            Expiry { at, is_known: true }
        };
        for id in 50..60 {
            records.insert(record(id, 900), Origin::Begun, Timestamp::from_millis(699), later);
        }
        assert_eq!(counts(&records), [60; 3], "no record has expired");
        for id in 60..70 {
            records.insert(record(id, 900), Origin::Begun, Timestamp::from_millis(700), later);
        }
        assert_eq!(kept(&records), (50..70).rev().chain([7]).collect::<Vec<_>>());
        assert_eq!(counts(&records), [21; 3]);
    }

    #[test]
    fn a_replaced_or_removed_record_leaves_no_position() {
        let mut records = Records::new(10);
        records.insert(record(1, 900), Origin::Begun, Timestamp::EPOCH, at_its_end);
        records.insert(record(1, 950), Origin::Begun, Timestamp::EPOCH, at_its_end);
        assert_eq!(counts(&records), [1; 3]);
        assert!(records.remove(&record(1, 0).key).is_some());
        assert_eq!(counts(&records), [0; 3]);
    }

    #[test]
    fn a_list_continues_after_its_cursor() {
        let mut records = Records::new(10);
        for id in 1..=5 {
            records.insert(record(id, 900), Origin::Begun, Timestamp::EPOCH, at_its_end);
        }
        let scope = Scopes::new(None, None, "ada").everything;
        let query = ListQuery::first(2).after(cursor(&record(4, 900)));
        let rest: Vec<_> = records.latest(scope, query.cursor()).map(|r| r.sid.as_str()).collect();
        assert_eq!(rest, ["3", "2", "1"]);
    }
}
