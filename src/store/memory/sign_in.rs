//! How a session begins in the memory store, and ends others of its subject.

use super::{
    lifecycle::MILLISECOND,
    lifecycle_state::{LifecycleState, Origin},
    sessions::MemoryStore,
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        RefreshState, ReplacedSession, SessionRecord, SignIn, SignInOutcome, SignedIn,
        StoredSession, session_limit::CountedSession,
    },
    time::Timestamp,
};

impl MemoryStore {
    pub(super) fn begin_now(&self, sign_in: SignIn) -> Result<SignInOutcome, StoreError> {
        let SignIn { mut record, audit, replaces, limit } = sign_in;
        let mut lifecycle_state = self.lifecycle_state();
        if self.get_now(&record.key) == StoredSession::Ended {
            return Err(StoreError::new("the session was revoked before it began"));
        }
        let mut ended = Vec::new();
        let has_ended = |replaced: &ReplacedSession| {
            self.state_of(&lifecycle_state, replaced.query) == RefreshState::Revoked
        };
        if let Some(limit) = limit.filter(|_| replaces.as_ref().is_none_or(has_ended)) {
            let now = record.last_seen;
            let counted = self.count(&lifecycle_state, record.scopes.subject, now);
            let Some(surplus) = limit.sessions_to_end(counted) else {
                return Ok(SignInOutcome::Refused);
            };
            // Where there is no room for the tombstone of one, those before it were too many anyway.
            for session in surplus {
                let (tombstone, audit) = session.end(&audit, &limit, now);
                self.end(&mut lifecycle_state, tombstone)?;
                lifecycle_state.audit_log.append(audit.clone());
                ended.push(audit);
            }
        }
        if let Some(replaced) = replaces {
            let before = lifecycle_state.records.get(&replaced.tombstone.session);
            let label = before.and_then(|before| before.label.clone());
            record.label = record.label.or(label);
            if self.end(&mut lifecycle_state, replaced.tombstone)? {
                lifecycle_state.audit_log.append(replaced.audit.clone());
                ended.push(replaced.audit);
            }
        }
        let cutoffs = record.scopes.keys().filter_map(|scope| self.revocations.cutoff_of(&scope));
        let folded = self.revocations.folded_of(&record.scopes.user).map(|folded| folded.last);
        let after_cutoffs = cutoffs.chain(folded).max().map(|cutoff| cutoff + MILLISECOND);
        let epoch = record.epoch.max(after_cutoffs.unwrap_or_default());
        record.epoch = epoch;
        let now = record.last_seen;
        self.insert_record(&mut lifecycle_state, record, Origin::Begun, now);
        lifecycle_state.audit_log.append(audit);
        Ok(SignInOutcome::Begun(SignedIn { epoch, ended }))
    }

    /// Returns the sessions of a subject that may be active. Of one whose entry was evicted the last
    /// activity is not known.
    fn count(
        &self,
        lifecycle_state: &LifecycleState,
        subject: StoreKey,
        now: Timestamp,
    ) -> Vec<CountedSession> {
        let records = lifecycle_state.records.latest(subject, None);
        let counted = records.filter_map(|record| {
            let is_active = self.is_active(record, now);
            let may_be_active = || {
                let SessionRecord { key, epoch, scopes, ends_at, .. } = record;
                now < *ends_at
                    && self.get_now(key) == StoredSession::Unknown
                    && self.revocations.revoked_by(*key, *epoch, || *scopes).is_none()
            };
            let last_seen = self.last_activity(&record.key, record.last_seen);
            (is_active || may_be_active())
                .then(|| CountedSession::new(record, last_seen, is_active))
        });
        counted.collect()
    }
}
