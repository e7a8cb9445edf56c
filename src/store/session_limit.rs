//! How many sessions a subject may have, and which ones end for another.

use std::time::Duration;

use super::{SessionRecord, Tombstone};
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject, SessionEndCause},
    identity::{Scopes, StoreKey},
    time::Timestamp,
};

/// The most sessions that one sign-in ends. A limit that was lowered holds after a few sign-ins, and
/// none of them takes long.
pub(super) const MAX_ENDED: u32 = 100;

/// What a sign-in does if the subject has as many sessions as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnSessionLimit {
    /// Ends the session with the earliest sign-in.
    Oldest,
    /// Ends the session whose last activity is the earliest. A store that writes activities late
    /// knows those of other nodes as they were a touch interval ago.
    LeastActive,
    /// Is refused; every session goes on.
    Refuse,
}

/// How many sessions a subject may have at a time, in all accounts.
///
/// A sign-in counts the sessions that have a record and are active, also those that a sign-in may not
/// refuse, such as the [adopted](crate::token::LegacyTokens::adopt) ones of an earlier system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimit {
    /// The most sessions, at least 1.
    pub max: u32,
    /// What happens to one more.
    pub on_limit: OnSessionLimit,
    /// How long after the absolute deadline of a session its tombstone is kept.
    pub max_clock_skew: Duration,
}

/// A session of the subject that may be active.
pub(super) struct CountedSession {
    pub(super) key: StoreKey,
    pub(super) scopes: Scopes,
    pub(super) auth_time: Timestamp,
    pub(super) epoch: Timestamp,
    pub(super) ends_at: Timestamp,
    pub(super) last_seen: Timestamp,
    /// Whether it is active, as far as the store knows: another node may know of a later activity
    /// that it has not written yet.
    pub(super) is_active: bool,
}

impl SessionLimit {
    /// Creates a limit.
    #[must_use]
    pub const fn new(max: u32, on_limit: OnSessionLimit, max_clock_skew: Duration) -> Self {
        Self { max, on_limit, max_clock_skew }
    }

    /// Returns the sessions that end so that one more can begin; `None` if it is refused.
    ///
    /// A session that has expired as far as the store knows counts for nothing, and ends first: it is
    /// not to become active again beside as many others.
    pub(super) fn sessions_to_end(
        &self,
        mut sessions: Vec<CountedSession>,
    ) -> Option<Vec<CountedSession>> {
        let max = self.max as usize;
        let active = sessions.iter().filter(|session| session.is_active).count();
        if self.on_limit == OnSessionLimit::Refuse && active >= max {
            return None;
        }
        let excess = (sessions.len() + 1).saturating_sub(max);
        sessions.sort_unstable_by_key(|session| {
            let first = match self.on_limit {
                OnSessionLimit::LeastActive => session.last_seen,
                OnSessionLimit::Oldest | OnSessionLimit::Refuse => session.auth_time,
            };
            (session.is_active, first, session.epoch, *session.key.as_bytes())
        });
        sessions.truncate(excess.min(MAX_ENDED as usize));
        Some(sessions)
    }
}

impl CountedSession {
    pub(super) const fn new(record: &SessionRecord, last_seen: Timestamp, is_active: bool) -> Self {
        let SessionRecord { key, scopes, auth_time, epoch, ends_at, .. } = *record;
        Self { key, scopes, auth_time, epoch, ends_at, last_seen, is_active }
    }

    /// Its tombstone, and the audit record, where `started` is that of the sign-in of the same subject.
    pub(super) fn end(
        &self,
        started: &AuditRecord,
        limit: &SessionLimit,
        now: Timestamp,
    ) -> (Tombstone, AuditRecord) {
        let tombstone = Tombstone::new(self.key, now, self.ends_at + limit.max_clock_skew)
            .of_user(self.scopes.user, Some(self.epoch));
        let subject = AuditSubject::from_session(self.key, &self.scopes);
        let subject = subject.with_sub(started.subject.sub.clone());
        let event = AuditEvent::SessionEnded { cause: SessionEndCause::SessionLimit };
        (tombstone, AuditRecord::new(now, event, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that began at `begun`, last active at `seen`.
    fn session(begun: u64, seen: u64, is_active: bool) -> CountedSession {
        let at = Timestamp::from_millis;
        let (sid, scopes) = (begun.to_string(), Scopes::new(None, None, "ada"));
        let key = StoreKey::session(None, &sid);
        let record =
            SessionRecord::new(key, sid, "ada", scopes, at(begun), Duration::MAX, at(u64::MAX));
        CountedSession::new(&record, at(seen), is_active)
    }

    /// When the sessions began that end; `None` if the sign-in is refused.
    fn ended(
        max: u32,
        on_limit: OnSessionLimit,
        sessions: &[(u64, u64, bool)],
    ) -> Option<Vec<u64>> {
        let limit = SessionLimit::new(max, on_limit, Duration::ZERO);
        let sessions = sessions.iter().map(|&(begun, seen, active)| session(begun, seen, active));
        let ended = limit.sessions_to_end(sessions.collect())?;
        Some(ended.iter().map(|session| session.auth_time.as_millis()).collect())
    }

    #[test]
    fn the_first_sessions_in_the_order_of_the_limit_end() {
        use OnSessionLimit::{LeastActive, Oldest, Refuse};
        let sessions = [(2, 7, true), (1, 9, true), (3, 8, true)];
        for (max, oldest, least_active, refuse) in [
            (5, &[][..], &[][..], Some(vec![])),
            (4, &[], &[], Some(vec![])),
            (3, &[1], &[2], None),
            (2, &[1, 2], &[2, 3], None),
            (1, &[1, 2, 3], &[2, 3, 1], None),
        ] {
            assert_eq!(ended(max, Oldest, &sessions), Some(oldest.to_vec()), "{max}");
            assert_eq!(ended(max, LeastActive, &sessions), Some(least_active.to_vec()), "{max}");
            assert_eq!(ended(max, Refuse, &sessions), refuse, "{max}");
        }
    }

    #[test]
    fn an_expired_session_counts_for_nothing_and_ends_first() {
        use OnSessionLimit::{LeastActive, Oldest, Refuse};
        let sessions = [(1, 9, true), (2, 5, false), (3, 8, true)];
        for (max, expected) in [(4, vec![]), (3, vec![2])] {
            for on_limit in [Oldest, LeastActive, Refuse] {
                assert_eq!(ended(max, on_limit, &sessions), Some(expected.clone()), "{max}");
            }
        }
        assert_eq!(ended(2, Oldest, &sessions), Some(vec![2, 1]));
        assert_eq!(ended(2, LeastActive, &sessions), Some(vec![2, 3]));
        assert_eq!(ended(2, Refuse, &sessions), None);
    }

    #[test]
    fn p31_one_sign_in_ends_a_bounded_number_of_sessions() {
        let many: Vec<_> = (0..1000).map(|begun| (begun, begun, true)).collect();
        let ended = ended(1, OnSessionLimit::Oldest, &many).expect("it begins");
        assert_eq!(ended, (0..100).collect::<Vec<_>>());
    }
}
