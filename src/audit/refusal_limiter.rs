//! How often a refusal is noted.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::AuditRecord;
use crate::{identity::StoreKey, time::Timestamp};

/// A refusal of a session with the same code is noted once in this time.
const INTERVAL: Duration = Duration::from_secs(60);

/// How many refusals are remembered, in 48 bytes each. Without room a refusal is noted and not
/// remembered: nobody avoids the log by filling this table.
const CAPACITY: usize = 16_384;

/// Lets one refusal of each session and code pass in a minute: whoever holds one expired token can
/// send any number of requests, and must not fill a log with them.
#[derive(Default)]
pub(super) struct RefusalLimiter(Mutex<RecentRefusals>);

/// A session, and the code of a refusal.
type Refusal = (StoreKey, &'static str);

#[derive(Default)]
struct RecentRefusals {
    at: HashMap<Refusal, Timestamp>,
    removed_at: Timestamp,
}

impl RefusalLimiter {
    /// Returns whether `record` is to be noted. Records that are no refusals always are.
    pub(super) fn permits(&self, record: &AuditRecord) -> bool {
        let (Some(session), Some(code)) = (record.subject.session, record.event.refusal_code())
        else {
            return true;
        };
        self.noted().permits((session, code), record.at)
    }

    fn noted(&self) -> MutexGuard<'_, RecentRefusals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecentRefusals {
    fn permits(&mut self, refusal: Refusal, now: Timestamp) -> bool {
        if self.at.get(&refusal).is_some_and(|at| is_recent(*at, now)) {
            return false;
        }
        if self.at.len() >= CAPACITY && !is_recent(self.removed_at, now) {
            self.at.retain(|_, at| is_recent(*at, now));
            self.removed_at = now;
        }
        if self.at.len() < CAPACITY || self.at.contains_key(&refusal) {
            self.at.insert(refusal, now);
        }
        true
    }
}

/// Whether `at` is within the interval before `now`. A clock that was set back makes nothing
/// recent.
fn is_recent(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now < at + INTERVAL
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audit::{AuditEvent, AuditSubject},
        rejection::RejectionKind,
    };

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const MILLISECOND: Duration = Duration::from_millis(1);

    fn refused(sid: &str, code: RejectionKind, at: Timestamp) -> AuditRecord {
        let event = AuditEvent::TokenRejected { code, cause: None };
        let session = StoreKey::session(None, sid);
        AuditRecord::new(at, event, AuditSubject::from_session_key(session))
    }

    #[test]
    fn p40_a_refusal_is_noted_once_a_minute_for_each_session_and_code() {
        let limiter = RefusalLimiter::default();
        let (expired, revoked) = (RejectionKind::TokenExpired, RejectionKind::SessionRevoked);
        let permits = |sid, code, at| limiter.permits(&refused(sid, code, at));
        assert!(permits("s", expired, NOW));
        assert!(!permits("s", expired, NOW));
        assert!(permits("s", revoked, NOW));
        assert!(permits("t", expired, NOW));
        assert!(!permits("s", expired, NOW + INTERVAL - MILLISECOND));
        assert!(permits("s", expired, NOW + INTERVAL));
        assert!(permits("s", expired, NOW), "the clock was set back");
    }

    #[test]
    fn p40_what_is_no_refusal_is_always_noted() {
        let limiter = RefusalLimiter::default();
        let session = AuditSubject::from_session_key(StoreKey::session(None, "s"));
        for event in [
            AuditEvent::SessionStarted,
            AuditEvent::RefreshReuseDetected,
            AuditEvent::SessionRenewed,
        ] {
            let record = AuditRecord::new(NOW, event, session.clone());
            assert!(limiter.permits(&record) && limiter.permits(&record));
        }
    }

    #[test]
    fn p15_p31_a_full_limiter_notes_every_other_refusal_and_is_emptied_by_time() {
        let limiter = RefusalLimiter::default();
        let code = RejectionKind::TokenExpired;
        for sid in 0..CAPACITY {
            assert!(limiter.permits(&refused(&sid.to_string(), code, NOW)));
        }
        let other = |at| limiter.permits(&refused("other", code, at));
        assert!(other(NOW) && other(NOW), "noted and not remembered");
        assert_eq!(limiter.noted().at.len(), CAPACITY);
        assert!(other(NOW + INTERVAL) && !other(NOW + INTERVAL));
        assert_eq!(limiter.noted().at.len(), 1);
    }
}
