//! Sign-out and revocation of one session.

use super::{Enforcement, Session, WaitingTime};
use crate::{
    audit::{AuditEvent, AuditRecord, SessionEndCause},
    maybe_ready::{LIFECYCLE_TIME_LIMIT, MaybeReady},
    policy::Policy,
    rejection::{Rejection, RejectionKind},
    rules::{ExpiryReason, Timeouts},
    store::Tombstone,
    time::Timestamp,
    token::VerifiedToken,
};

impl Session {
    /// Signs the session out: its tombstone and the audit event are written before this returns,
    /// and no renewal follows on the response.
    ///
    /// # Errors
    /// `store_unavailable`, a 503: there is no store, it did not write the tombstone within 5 s, or too few
    /// of its replicas have it. The session may still be active then: sign out again.
    pub async fn sign_out(&self) -> Result<(), Rejection> {
        self.forbid_renewal();
        let enforcement = self.enforcement().ok_or(RejectionKind::StoreUnavailable)?;
        enforcement.sign_out(self).await
    }
}

impl Enforcement {
    /// Signs `session` out: writes the tombstone and the audit event, and prevents its renewal.
    pub(crate) async fn sign_out(&self, session: &Session) -> Result<(), Rejection> {
        session.forbid_renewal();
        self.sign_out_by_token(session.token()).await
    }

    /// As [`sign_out`](Self::sign_out), for the session of `token`, which may have expired.
    pub(crate) async fn sign_out_by_token(&self, token: &VerifiedToken) -> Result<(), Rejection> {
        let now = self.clock.now();
        let event = AuditEvent::SessionEnded { cause: SessionEndCause::SignedOut };
        let audit = self.audit(token, event, now);
        self.revoke(self.tombstone(token, now), audit).await
    }

    /// The tombstone of the session of `token`, kept until its end.
    pub(crate) fn tombstone(&self, token: &VerifiedToken, now: Timestamp) -> Tombstone {
        Tombstone::new(token.session_key(), now, self.latest_end(token))
            .of_user(token.user_key(), token.claims().epoch)
    }

    /// Writes a tombstone for a session that expired only because its policy was shortened:
    /// lengthening the policy must not make it active again (P20).
    pub(super) fn end_if_shortened(
        &self,
        token: &VerifiedToken,
        reason: ExpiryReason,
        policy: &Policy,
    ) {
        let (claims, timeouts) = (token.claims(), Timeouts::effective(token.claims(), policy));
        let is_shortened = match reason {
            ExpiryReason::Idle => claims.idle_max.is_some_and(|carried| timeouts.idle < carried),
            ExpiryReason::Absolute => {
                claims.abs_max.is_some_and(|carried| timeouts.absolute < carried)
            }
            ExpiryReason::Token => false,
        };
        if let Some(store) = self.store().filter(|_| is_shortened) {
            store.write_tombstone(self.tombstone(token, self.clock.now())).detach();
        }
    }

    /// Writes the tombstone of one session, and records `audit` if it had none: in the same
    /// transaction, if the store keeps records of sessions. A session that can no longer be active
    /// needs neither, so its token adds nothing to the log (P40).
    pub(crate) async fn revoke(
        &self,
        tombstone: Tombstone,
        audit: AuditRecord,
    ) -> Result<(), Rejection> {
        self.revoke_in_time(tombstone, audit, &WaitingTime::default()).await
    }

    /// As [`revoke`](Self::revoke), for as long as is left.
    pub(crate) async fn revoke_in_time(
        &self,
        tombstone: Tombstone,
        audit: AuditRecord,
        waiting_time: &WaitingTime,
    ) -> Result<(), Rejection> {
        if tombstone.until <= audit.at {
            return Ok(());
        }
        if let Some(store) = self.lifecycle_store() {
            let answer = store.revoke(tombstone, audit.clone());
            if self.answer_in_time(answer, waiting_time).await? {
                self.record_committed(audit);
            }
            return Ok(());
        }
        let store = self.store().ok_or(RejectionKind::StoreUnavailable)?;
        if self.answer_in_time(store.write_tombstone(tombstone), waiting_time).await? {
            self.record(audit);
        }
        Ok(())
    }

    /// Waits for a store, at most 5 s.
    pub(crate) async fn answer<T: Unpin>(&self, answer: MaybeReady<T>) -> Result<T, Rejection> {
        self.answer_in_time(answer, &WaitingTime::default()).await
    }

    /// Waits for a store, for as long as is left of 5 s.
    pub(crate) async fn answer_in_time<T: Unpin>(
        &self,
        answer: MaybeReady<T>,
        waiting_time: &WaitingTime,
    ) -> Result<T, Rejection> {
        let answer = waiting_time.wait(answer, &*self.clock, LIFECYCLE_TIME_LIMIT).await;
        answer.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the session store failed");
            RejectionKind::StoreUnavailable.into()
        })
    }
}
