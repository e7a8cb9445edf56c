//! Whose records were evicted, of sessions that may be active.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{identity::StoreKey, store::SessionRecord, time::Timestamp};

/// Of how many users it is known. Of more, any user may be one of them.
const MAX_USERS: usize = 65_536;

#[derive(Default)]
pub(super) struct Evictions {
    /// The latest epoch of such a session.
    epoch: Timestamp,
    /// Until when one of a user's sessions may be active.
    by_user: HashMap<StoreKey, Timestamp, RandomState>,
    of_any_until: Timestamp,
}

impl Evictions {
    pub(super) fn add(&mut self, record: &SessionRecord, now: Timestamp) {
        self.epoch = self.epoch.max(record.epoch);
        let user = record.scopes.user;
        let is_known = self.by_user.contains_key(&user);
        if !is_known && self.by_user.len() >= MAX_USERS {
            // Once for as long as there are too many.
            if self.of_any_until <= now {
                self.by_user.retain(|_, until| now < *until);
            }
            if self.by_user.len() >= MAX_USERS {
                self.of_any_until = self.of_any_until.max(record.ends_at);
                return;
            }
        }
        let until = self.by_user.entry(user).or_default();
        *until = record.ends_at.max(*until);
    }

    pub(super) const fn epoch(&self) -> Timestamp {
        self.epoch
    }

    /// Whether every active session of a user has a record at `now`.
    pub(super) fn has_none_of(&self, user: &StoreKey, now: Timestamp) -> bool {
        let until = self.by_user.get(user).copied().unwrap_or_default();
        until.max(self.of_any_until) <= now
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::Scopes;

    fn record(number: usize, ends: u64) -> SessionRecord {
        let (scopes, sid) = (Scopes::new(None, None, &number.to_string()), "s".to_owned());
        let (at, ends_at) = (Timestamp::EPOCH, Timestamp::from_millis(ends));
        let key = StoreKey::session(None, "s");
        SessionRecord::new(key, sid, "ada".to_owned(), scopes, at, Duration::MAX, ends_at)
    }

    #[test]
    fn p31_the_evictions_of_one_user_are_those_of_no_other() {
        let at = Timestamp::from_millis;
        let mut evictions = Evictions::default();
        let mut add = |number, ends, now| evictions.add(&record(number, ends), at(now));
        for number in 0..MAX_USERS {
            add(number, 900, 0);
        }
        add(0, 950, 0);
        add(0, 800, 0);
        for (number, now, is_none) in
            [(0, 949, false), (0, 950, true), (1, 899, false), (1, 900, true), (MAX_USERS, 0, true)]
        {
            let user = record(number, 0).scopes.user;
            assert_eq!(evictions.has_none_of(&user, at(now)), is_none, "{number} at {now}");
        }
    }

    #[test]
    fn p15_of_too_many_users_any_may_have_lost_a_record() {
        let at = Timestamp::from_millis;
        let mut evictions = Evictions::default();
        for number in 0..=MAX_USERS {
            evictions.add(&record(number, 900), at(0));
        }
        let other = record(MAX_USERS + 1, 0).scopes.user;
        assert_eq!(evictions.by_user.len(), MAX_USERS);
        assert!(!evictions.has_none_of(&other, at(899)) && evictions.has_none_of(&other, at(900)));
        evictions.add(&record(MAX_USERS + 2, 2000), at(900));
        assert_eq!(evictions.by_user.len(), 1, "the others have expired");
        assert!(evictions.has_none_of(&other, at(900)));
    }
}
