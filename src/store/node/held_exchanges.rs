//! The exchanges of refresh tokens that a node holds: a store that has lost them gets them back, and nobody
//! uses a refresh token twice.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

use crate::{
    identity::StoreKey,
    store::{RefreshedSession, Rotation, SessionRecord, TokenExchange},
    time::Timestamp,
};

/// The most sessions whose exchange a node holds, in some 700 bytes each.
const CAPACITY: usize = 1 << 18;

/// The most of one user. Of more those that were refreshed last are held.
const MAX_OF_USER: usize = 64;

/// The last exchange of each session that this node has made or read, until the session ends.
#[derive(Debug)]
pub(in crate::store) struct HeldExchanges {
    capacity: usize,
    sessions: DashMap<StoreKey, HeldExchange, RandomState>,
    /// The sessions of each user.
    users: DashMap<StoreKey, Vec<StoreKey>, RandomState>,
    /// Whether what is held must be compared with the store.
    is_due: AtomicBool,
    /// The sessions that are still to be compared.
    uncompared: Mutex<Vec<StoreKey>>,
}

/// A session whose refresh token was exchanged.
#[derive(Clone, Debug)]
pub(in crate::store) struct HeldExchange {
    /// As it was then.
    pub(in crate::store) record: Box<SessionRecord>,
    /// The generation that may be exchanged.
    pub(in crate::store) generation: u32,
    pub(in crate::store) exchange: TokenExchange,
    /// The latest generation of which an access token was presented, as far as this node knows.
    pub(in crate::store) presented: u32,
}

impl HeldExchange {
    /// An exchange that the store has made.
    pub(in crate::store) fn made(rotation: &Rotation) -> Self {
        let mut record = Box::new(rotation.record.clone());
        if rotation.is_activity {
            record.last_seen = record.last_seen.max(rotation.exchange.at);
        }
        let generation = rotation.next_generation();
        Self { record, generation, exchange: rotation.exchange.clone(), presented: 0 }
    }

    /// The exchange of a session that was read; `None` without any.
    pub(in crate::store) fn read(
        record: &SessionRecord,
        refreshed: &RefreshedSession,
    ) -> Option<Self> {
        let RefreshedSession { generation, presented, .. } = *refreshed;
        let exchange = refreshed.exchange.clone()?;
        Some(Self { record: Box::new(record.clone()), generation, exchange, presented })
    }

    /// Takes over what another one has later.
    fn raise(&mut self, other: Self) {
        self.presented = self.presented.max(other.presented);
        self.record.last_seen = self.record.last_seen.max(other.record.last_seen);
        // That of a token has none.
        if self.record.label.is_none() {
            self.record.label = other.record.label;
        }
        if self.generation < other.generation {
            (self.generation, self.exchange) = (other.generation, other.exchange);
        }
    }
}

impl Default for HeldExchanges {
    fn default() -> Self {
        Self {
            capacity: CAPACITY,
            sessions: DashMap::default(),
            users: DashMap::default(),
            is_due: AtomicBool::new(false),
            uncompared: Mutex::default(),
        }
    }
}

impl HeldExchanges {
    /// Holds an exchange, if there is room; the later generation counts. No user takes the room of
    /// others: of more than 64 sessions of one user that which was refreshed first makes room.
    pub(in crate::store) fn hold(&self, held: HeldExchange) {
        let (session, user) = (held.record.key, held.record.scopes.user);
        if let Some(mut present) = self.sessions.get_mut(&session) {
            present.raise(held);
            return;
        }
        let mut of_user = self.users.entry(user).or_default();
        if of_user.len() >= MAX_OF_USER {
            let refreshed_at =
                |session: &StoreKey| self.sessions.get(session).map(|it| it.exchange.at);
            let first = (0..of_user.len()).min_by_key(|&place| refreshed_at(&of_user[place]));
            if let Some(first) = first {
                self.sessions.remove(&of_user.swap_remove(first));
            }
        }
        let has_room = self.sessions.len() < self.capacity;
        match self.sessions.entry(session) {
            Entry::Occupied(mut present) => present.get_mut().raise(held),
            Entry::Vacant(entry) if has_room => {
                entry.insert(held);
                of_user.push(session);
            }
            Entry::Vacant(_) => {}
        }
        let is_empty = of_user.is_empty();
        drop(of_user);
        if is_empty {
            self.users.remove_if(&user, |_, sessions| sessions.is_empty());
        }
    }

    /// Returns the exchange of a session, if it is held.
    pub(in crate::store) fn get(&self, session: &StoreKey) -> Option<HeldExchange> {
        self.sessions.get(session).map(|held| held.clone())
    }

    /// Removes the exchange of a session that has ended.
    pub(in crate::store) fn remove(&self, session: &StoreKey) {
        if let Some((_, held)) = self.sessions.remove(session) {
            self.remove_of_user(held.record.scopes.user, session);
        }
    }

    /// Removes those of sessions whose absolute deadline is `now` or before; O(n) in their number.
    pub(in crate::store) fn remove_expired(&self, now: Timestamp) {
        let mut removed = Vec::new();
        self.sessions.retain(|session, held| {
            let is_kept = now < held.record.ends_at;
            if !is_kept {
                removed.push((held.record.scopes.user, *session));
            }
            is_kept
        });
        for (user, session) in removed {
            self.remove_of_user(user, &session);
        }
    }

    fn remove_of_user(&self, user: StoreKey, session: &StoreKey) {
        if let Entry::Occupied(mut of_user) = self.users.entry(user) {
            of_user.get_mut().retain(|other| other != session);
            if of_user.get().is_empty() {
                of_user.remove();
            }
        }
    }

    /// The store may have lost data: everything that is held is to be compared with it.
    pub(in crate::store) fn compare_all(&self) {
        self.is_due.store(true, Relaxed);
    }

    /// Whether something is to be compared.
    pub(in crate::store) fn are_due(&self) -> bool {
        self.is_due.load(Relaxed) || !self.uncompared().is_empty()
    }

    /// Takes at most `limit` of those that are to be compared.
    pub(in crate::store) fn take_due(&self, limit: usize) -> Vec<HeldExchange> {
        let mut uncompared = self.uncompared();
        if self.is_due.swap(false, Relaxed) {
            *uncompared = self.sessions.iter().map(|held| *held.key()).collect();
        }
        let first = uncompared.len().saturating_sub(limit);
        let due = uncompared.split_off(first);
        drop(uncompared);
        due.iter().filter_map(|session| self.get(session)).collect()
    }

    /// Some could not be compared: they are due again.
    pub(in crate::store) fn put_back(&self, due: impl IntoIterator<Item = StoreKey>) {
        let mut uncompared = self.uncompared();
        uncompared.splice(0..0, due);
    }

    fn uncompared(&self) -> MutexGuard<'_, Vec<StoreKey>> {
        self.uncompared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        identity::Scopes,
        store::{RefreshQuery, SessionLabel},
    };

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    /// The exchange of a session, at a second that is the generation, until 1,000.
    fn held(sub: &str, sid: &str, generation: u32) -> HeldExchange {
        let scopes = Scopes::new(None, None, sub);
        let key = StoreKey::session(None, sid);
        let idle = Duration::from_secs(9);
        let record = SessionRecord::new(key, sid, sub, scopes, at(0), idle, at(1000));
        let exchange = TokenExchange::new(at(generation.into()), None);
        HeldExchange { record: Box::new(record), generation, exchange, presented: generation }
    }

    fn generation(exchanges: &HeldExchanges, sid: &str) -> Option<u32> {
        exchanges.get(&StoreKey::session(None, sid)).map(|held| held.generation)
    }

    #[test]
    fn p22_the_latest_generation_of_a_session_is_held() {
        let exchanges = HeldExchanges::default();
        for number in [2, 3, 1] {
            exchanges.hold(held("ada", "s", number));
        }
        let latest = exchanges.get(&StoreKey::session(None, "s")).expect("it is held");
        assert_eq!((latest.generation, latest.presented), (3, 3));
        assert_eq!(latest.exchange.at, at(3));
        exchanges.remove(&StoreKey::session(None, "s"));
        assert_eq!(generation(&exchanges, "s"), None, "it has ended");
        assert!(exchanges.users.is_empty());
    }

    /// Of the two that a node makes and reads.
    #[test]
    fn p33_the_latest_activity_of_a_session_and_its_label_are_held() {
        let mut made = held("ada", "s", 1);
        let query = RefreshQuery::new(made.record.key, at(0), made.record.scopes);
        let record = SessionRecord { last_seen: at(2), ..(*made.record).clone() };
        let rotation = Rotation::new(query, 1, made.exchange.clone(), record);
        for (is_activity, exchanged_at, last_seen) in [(false, 5, 2), (true, 5, 5), (true, 1, 2)] {
            let exchange = TokenExchange::new(at(exchanged_at), None);
            made = HeldExchange::made(&Rotation { exchange, is_activity, ..rotation.clone() });
            assert_eq!(made.record.last_seen, at(last_seen), "{is_activity} {exchanged_at}");
        }
        let exchanges = HeldExchanges::default();
        exchanges.hold(made);
        let label = || SessionLabel::new(&"phone").ok();
        for (label, last_seen, expected) in [(label(), 4, 4), (None, 3, 4)] {
            let mut other = held("ada", "s", 1);
            (other.record.label, other.record.last_seen) = (label, at(last_seen));
            exchanges.hold(other);
            let held = exchanges.get(&StoreKey::session(None, "s")).expect("it is held");
            assert_eq!(held.record.last_seen, at(expected));
            assert!(held.record.label.is_some());
        }
    }

    #[test]
    fn p31_no_user_takes_the_room_of_others() {
        let exchanges = HeldExchanges { capacity: 100, ..HeldExchanges::default() };
        exchanges.hold(held("bob", "bob's", 1));
        for number in 1..=200 {
            exchanges.hold(held("ada", &number.to_string(), number));
        }
        assert_eq!(generation(&exchanges, "bob's"), Some(1));
        assert_eq!(exchanges.sessions.len(), 65);
        for (number, is_held) in [(1, false), (136, false), (137, true), (200, true)] {
            let found = generation(&exchanges, &number.to_string());
            assert_eq!(found.is_some(), is_held, "{number}");
        }
    }

    #[test]
    fn p15_the_exchanges_that_a_node_holds_are_bounded() {
        let exchanges = HeldExchanges { capacity: 2, ..HeldExchanges::default() };
        for sub in ["ada", "bob", "eve"] {
            exchanges.hold(held(sub, sub, 1));
        }
        assert_eq!((exchanges.sessions.len(), exchanges.users.len()), (2, 2));
        exchanges.hold(held("bob", "bob", 2));
        assert_eq!(generation(&exchanges, "bob"), Some(2), "it is held already");
        exchanges.remove_expired(at(999));
        assert_eq!(exchanges.sessions.len(), 2);
        exchanges.remove_expired(at(1000));
        assert_eq!((exchanges.sessions.len(), exchanges.users.len()), (0, 0));
    }

    #[test]
    fn p22_what_could_not_be_compared_is_due_again() {
        let exchanges = HeldExchanges::default();
        for sid in ["s", "t", "u"] {
            exchanges.hold(held("ada", sid, 1));
        }
        assert!(!exchanges.are_due());
        exchanges.compare_all();
        let first = exchanges.take_due(2);
        assert!(exchanges.are_due(), "one is left");
        exchanges.put_back(first.iter().map(|held| held.record.key));
        let second: Vec<_> =
            std::iter::repeat_with(|| exchanges.take_due(1)).take(3).flatten().collect();
        assert_eq!((first.len(), second.len()), (2, 3));
        let was_taken = first.iter().any(|held| held.record.key == second[0].record.key);
        assert!(!was_taken, "the others come first");
        assert!(!exchanges.are_due());
    }
}
