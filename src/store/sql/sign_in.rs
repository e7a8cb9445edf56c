//! How a session begins, and ends the one that it replaces.

use super::{
    Inner, Transaction, audit_log,
    change_feed::{Change, ChangeFeed},
    database::{Lock, Tx},
    failure::Failure,
    revocation::{Revoke, Revoked},
    sessions::{insert, read_label},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{ReplacedSession, SessionRecord, SignIn, SignedIn, node_cache::Stored},
};

/// What a sign-in changed.
pub(super) struct Begun {
    signed_in: SignedIn,
    changes: Vec<Change>,
    /// The user, if there are now more tombstones of the user than are to be kept.
    many_of: Option<StoreKey>,
}

impl Transaction for SignIn {
    type Answer = Begun;

    async fn run(&self, tx: &mut Tx) -> Result<Begun, Failure> {
        // No cutoff is raised until this session is committed.
        tx.lock(Lock::WithOthers).await?;
        let (mut ended, mut changes, mut many_of) = (Vec::new(), Vec::new(), None);
        let mut label = self.record.label.clone();
        if let Some(ReplacedSession { tombstone, audit, .. }) = &self.replaces {
            let feed = ChangeFeed::lock(tx).await?;
            if label.is_none() {
                label = read_label(tx, tombstone.session).await?;
            }
            let revoke = Revoke { tombstone: *tombstone, audit: Some(audit.clone()) };
            let revoked = revoke.revoke(tx, feed).await?;
            let Revoked { is_first, many_of: many } = revoked;
            many_of = many;
            changes.push(revoke.change());
            ended.extend(is_first.then(|| audit.clone()));
        }
        let epoch = "CASE WHEN cutoff.latest >= $10 THEN cutoff.latest + 1 ELSE $10 END";
        let epoch = insert(tx, &self.record, label.as_ref(), epoch, "1 = 1", "1").await?;
        let epoch =
            epoch.ok_or_else(|| StoreError::new("a session with this sid exists already"))?;
        audit_log::write(tx, std::slice::from_ref(&self.audit)).await?;
        Ok(Begun { signed_in: SignedIn { epoch, ended }, changes, many_of })
    }
}

impl Inner {
    pub(super) async fn begin(&self, mut sign_in: SignIn) -> Result<SignedIn, StoreError> {
        let _in_flight = self.calls.acquire(sign_in.record.scopes.user).await;
        self.sync_if_stale().await?;
        sign_in.replaces.take_if(|replaced| self.is_folded(&replaced.tombstone));
        let generation = self.node_cache.generation();
        let begun = if sign_in.replaces.is_some() {
            self.commit_and_publish(&sign_in).await?
        } else {
            self.commit(&sign_in).await?
        };
        self.apply(&begun.changes);
        let SessionRecord { key, idle, last_seen, .. } = sign_in.record;
        // The first request finds it in the cache.
        let stored = Stored { last_seen: Some(last_seen), idle, generation, read_at: last_seen };
        self.node_cache.remember(key, stored);
        if let Some(user) = begun.many_of {
            self.fold(user, last_seen).await;
        }
        Ok(begun.signed_in)
    }
}
