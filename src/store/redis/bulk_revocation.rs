//! Revocation of all sessions of a scope: a cutoff in the slot of the feed.

use std::{collections::HashSet, time::Duration};

use super::{
    Inner,
    kept_change::{self, FeedChange},
    lists::After,
    record::{Record, Stored},
};
use crate::{
    identity::{SessionKeys, StoreKey},
    maybe_ready::StoreError,
    store::{BulkRevocation, CallerSession, Exempt, RevocationCutoff, node::Change},
    time::Timestamp,
};

/// The active sessions of a scope.
#[derive(Default)]
struct Counted {
    exempt: Vec<StoreKey>,
    revoked: Vec<StoreKey>,
    /// The latest epoch of those that are revoked.
    latest: Timestamp,
}

impl Inner {
    pub(super) async fn revoke_scope(&self, revocation: BulkRevocation) -> Result<u64, StoreError> {
        let _in_flight = self.calls.acquire(revocation.scope.key()).await;
        let _counting = self.counting.write().await;
        self.sync_now().await?;
        let BulkRevocation { scope, cutoff, ref audit, .. } = revocation;
        let Counted { mut exempt, revoked, latest } = self.count_active(&revocation).await?;
        exempt.extend(self.unrecorded_exempt(&revocation).await?);
        // A session that began after an earlier cutoff, or was exempt from it, may be later than
        // this cutoff.
        let exempt_until = self.revocations.latest_exemption();
        let latest = exempt_until.map_or(latest, |at| latest.max(at + Duration::from_millis(1)));
        let until = cutoff.until + latest.since(cutoff.at);
        let at = cutoff.at.max(latest);
        let exempt = exempt.into_iter();
        let exemptions: Vec<_> =
            exempt.map(|session| Change::Exempt { session, at, until }.into()).collect();
        self.publish_exemptions(&exemptions).await?;
        self.apply_feed(&exemptions);
        let cutoff = RevocationCutoff::new(at, until);
        let change = FeedChange::from(Change::Cutoff { scope: scope.key(), cutoff });
        let had_exemption = |session: &&StoreKey| self.revocations.exempt_until(session).is_some();
        let removed: Vec<_> =
            revoked.iter().filter(had_exemption).map(|it| kept_change::exemption(*it)).collect();
        self.publish_and_keep(&[change], 1, &removed).await?;
        self.apply_feed(&[change]);
        for session in &revoked {
            self.revocations.remove_exemption(session);
        }
        let count = revoked.len() as u64;
        self.append_audit_records(&[audit.clone().with_revoked_count(count)]).await?;
        Ok(count)
    }

    async fn count_active(&self, revocation: &BulkRevocation) -> Result<Counted, StoreError> {
        let (mut counted, mut after) = (Counted::default(), None::<After>);
        let (sessions, user) = match &revocation.exempt {
            Exempt::None => (HashSet::new(), None),
            Exempt::Sessions(keys) => (keys.iter().copied().collect(), None),
            Exempt::User(user) => (HashSet::new(), Some(*user)),
            Exempt::Caller(caller) => (HashSet::from([caller.key]), None),
            Exempt::UserOfCaller(caller) => (HashSet::new(), Some(caller.scopes.user)),
        };
        loop {
            let (records, next) = self.list_piece(revocation.scope, after).await?;
            for Record { session, .. } in records {
                if !self.is_active(&session, revocation.now) {
                    continue;
                }
                if sessions.contains(&session.key) || user == Some(session.scopes.user) {
                    counted.exempt.push(session.key);
                } else {
                    counted.revoked.push(session.key);
                    counted.latest = counted.latest.max(session.epoch);
                }
            }
            after = next;
            if after.is_none() {
                return Ok(counted);
            }
        }
    }

    /// Returns the caller's session if it is exempt, is active and has no record: its activity may not
    /// be written yet.
    async fn unrecorded_exempt(
        &self,
        revocation: &BulkRevocation,
    ) -> Result<Option<StoreKey>, StoreError> {
        let Some(caller) = revocation.exempt.caller() else { return Ok(None) };
        let CallerSession { key, scopes, epoch, .. } = *caller;
        if !revocation.scope.contains(&scopes)
            || self.revocations.revoked_by(key, epoch, || scopes).is_some()
            || self.unplaced.contains_key(&key)
        {
            return Ok(None);
        }
        Ok(match self.stored(SessionKeys::new(key, scopes.user)).await? {
            None | Some(Stored::Activity { .. }) => Some(key),
            Some(Stored::Record(_) | Stored::Tombstone { .. }) => None,
        })
    }
}
