//! How sessions end in the memory store: tombstones, and what happens when a user has many.

use super::{
    lifecycle::MILLISECOND,
    lifecycle_state::{Kind, LifecycleState},
    sessions::{Entry, MemoryStore},
};
use crate::{
    audit::AuditRecord,
    identity::StoreKey,
    maybe_ready::StoreError,
    metrics,
    store::{
        FoldedTombstones, Tombstone,
        tombstone::{MAX_PER_USER, MAX_UNFOLDED},
    },
    time::Timestamp,
};

/// One user takes at most this part of the room for tombstones, where they cannot be folded.
const USERS_PER_CAPACITY: usize = 16;

impl MemoryStore {
    pub(super) fn revoke_now(
        &self,
        tombstone: Tombstone,
        audit: AuditRecord,
    ) -> Result<bool, StoreError> {
        let mut lifecycle_state = self.lifecycle_state();
        let is_first = self.end(&mut lifecycle_state, tombstone)?;
        if is_first {
            lifecycle_state.audit_log.append(audit);
        }
        drop(lifecycle_state);
        self.revocations.recheck_session(&tombstone.session);
        Ok(is_first)
    }

    /// Writes a tombstone and removes the record; returns whether the session had no tombstone. Looks
    /// only at the entries of the session, of four expired tombstones and of the user, whatever the
    /// store holds.
    pub(super) fn end(
        &self,
        lifecycle_state: &mut LifecycleState,
        tombstone: Tombstone,
    ) -> Result<bool, StoreError> {
        let Tombstone { session, user, epoch, at, until } = tombstone;
        if let (Some(user), Some(epoch)) = (user, epoch)
            && let Some(folded) = self.revocations.folded_with(&session, epoch, &user)
        {
            let until = folded.until.max(until);
            self.revocations.add_folded(user, FoldedTombstones { until, ..folded });
            return Ok(false);
        }
        let record = lifecycle_state.records.get(&session);
        let until = record.map_or(until, |record| until.max(record.ends_at));
        if self.extend_tombstone(&session, until) {
            return Ok(false);
        }
        let user = record.map(|record| record.scopes.user).or(user).unwrap_or(session);
        let begun = lifecycle_state.records.begun_epoch(&session);
        let kind = if begun.is_some() { Kind::Begun } else { Kind::Foreign };
        let until_of = |session: &StoreKey| self.tombstone_until(session);
        for expired in lifecycle_state.tombstones.remove_expired(at, until_of) {
            self.table.remove_pinned(&expired);
        }
        if kind == Kind::Begun && lifecycle_state.tombstones.count(user, kind) >= MAX_PER_USER {
            self.fold(lifecycle_state, user, at);
        }
        let tombstones = &mut lifecycle_state.tombstones;
        let limit = (tombstones.capacity() / USERS_PER_CAPACITY).clamp(MAX_PER_USER, MAX_UNFOLDED);
        if tombstones.count(user, kind) >= limit
            || !tombstones.insert((user, kind, session), begun.unwrap_or_default(), until)
        {
            return Err(StoreError::new("the memory store has no room for another tombstone"));
        }
        self.table.pin(session, Entry::tombstone(until), |entry| entry.end(until));
        metrics::set_live_sessions(self.table.len());
        lifecycle_state.records.remove(&session);
        self.revocations.remove_exemption(&session);
        Ok(true)
    }

    /// Folds the tombstones of a user, of sessions that began in this store, into one that exempts the
    /// user's active sessions. Keeps them if an active session may be without a record: then it could
    /// not be exempt.
    fn fold(&self, lifecycle_state: &mut LifecycleState, user: StoreKey, now: Timestamp) {
        let LifecycleState { records, tombstones, .. } = lifecycle_state;
        let earlier = self.revocations.folded_of(&user);
        if earlier.is_some_and(|earlier| earlier.first <= records.evicted_epoch()) {
            return;
        }
        let folded = tombstones.of_user(user, Kind::Begun);
        let folded: Vec<_> = folded.filter(|(_, epoch)| *epoch > records.evicted_epoch()).collect();
        // Later than any exemption of a session that has ended.
        let latest_exemption = self.revocations.latest_exemption().unwrap_or_default();
        let at = now.max(latest_exemption + MILLISECOND);
        let each = folded.iter().map(|(session, epoch)| {
            FoldedTombstones::new(*epoch, *epoch, at, self.tombstone_until(session))
        });
        let Some(whole) = each.chain(earlier).reduce(FoldedTombstones::merge) else { return };
        for record in records.latest(user, None) {
            let (epoch, scopes) = (record.epoch, || record.scopes);
            if (whole.first..=whole.last).contains(&epoch)
                && self.revocations.revoked_by(record.key, epoch, scopes).is_none()
            {
                self.revocations.exempt(record.key, whole.at, whole.until);
            }
        }
        self.revocations.add_folded(user, whole);
        for (session, _) in folded {
            tombstones.remove(user, Kind::Begun, session);
            self.table.remove_pinned(&session);
        }
        self.count_revocation(lifecycle_state, now);
    }

    /// Keeps the tombstone of a session for longer. Returns `false` if it has none.
    fn extend_tombstone(&self, session: &StoreKey, until: Timestamp) -> bool {
        let extend = |entry: &Entry| {
            let is_tombstone = entry.last_seen().is_none();
            if is_tombstone {
                entry.end(until);
            }
            is_tombstone
        };
        self.table.get(session, extend).unwrap_or(false)
    }

    fn tombstone_until(&self, session: &StoreKey) -> Timestamp {
        self.table.get(session, Entry::tombstone_until).flatten().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
