//! The lifecycle of sessions: sign-in, refresh, sign-out, revocation, lists, account policies.

mod account_policy;
mod claims_changed;
mod directory;
mod grant;
mod list;
mod refresh;
mod revoke;
mod revoke_all;
mod start;
mod ticket;

use std::{sync::Arc, time::Duration};

pub use self::{
    account_policy::{AccountPolicy, AccountPolicyError, ChangeAccountPolicy},
    claims_changed::{ClaimsChanged, ClaimsChangedError},
    directory::{DirectoryEntry, UserDirectory},
    grant::Grant,
    refresh::Refresh,
    revoke::Revoke,
    revoke_all::RevokeAll,
    start::{Start, StartError},
    ticket::{IssueTicket, Ticket, TicketError},
};
use crate::{
    audit::AuditQueue,
    identity::StoreKey,
    maybe_ready::MaybeReady,
    policy::OverrideBounds,
    rejection::{Rejection, RejectionKind},
    request_class::Activity,
    rules::LONGEST_ADOPTION,
    session::Enforcement,
    store::{LifecycleStore, SessionLimit},
    time::Timestamp,
    token::{ClaimsSource, CurrentClaims, TokenVerifier, VerifiedToken, ask_claims_source},
    transport::CarrierLimits,
};

/// The settings of the lifecycle.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    pub(crate) verifier: TokenVerifier,
    pub(crate) enforcement: Arc<Enforcement>,
    pub(crate) claims: Option<Arc<dyn ClaimsSource>>,
    /// `None` without refresh tokens; else how long a retry returns the same successors.
    pub(crate) reuse_grace: Option<Duration>,
    pub(crate) bounds: OverrideBounds,
    pub(crate) limits: CarrierLimits,
    pub(crate) session_limit: Option<SessionLimit>,
    pub(crate) activity: Activity,
}

impl Lifecycle {
    fn now(&self) -> Timestamp {
        self.enforcement.clock.now()
    }

    fn iss(&self) -> Option<&str> {
        self.verifier.iss()
    }

    fn session_key(&self, sid: &str) -> StoreKey {
        StoreKey::session(self.iss(), sid)
    }

    /// The latest instant at which any session that has begun by `now` can be active.
    fn latest_end(&self, now: Timestamp) -> Timestamp {
        let profiles = &self.enforcement.profiles;
        let mut longest = profiles.longest_absolute_timeout().max(*self.bounds.absolute.end());
        if self.verifier.adopts() {
            longest = longest.max(LONGEST_ADOPTION);
        }
        now + longest + profiles.widest_clock_skew()
    }

    /// The lifecycle store. Without one the answer is `store_unavailable`, as in an outage.
    fn lifecycle_store(&self) -> Result<&dyn LifecycleStore, Rejection> {
        self.enforcement.lifecycle_store().map(|store| &**store).ok_or_else(|| {
            tracing::warn!("this call needs a lifecycle store, and another store is set");
            RejectionKind::StoreUnavailable.into()
        })
    }

    pub(crate) async fn flush(&self) -> Result<(), Rejection> {
        if let Some(audit_queue) = self.audit_queue() {
            audit_queue.flush().await;
        }
        let Some(writer) = self.enforcement.attempt_writer() else { return Ok(()) };
        let store = Arc::clone(&writer.store);
        let attempts = self.answer(MaybeReady::new(async move { writer.write().await })).await;
        // Whatever came of the attempts.
        let activities = self.answer(store.flush()).await;
        attempts.and(activities)
    }

    pub(crate) fn audit_queue(&self) -> Option<&AuditQueue> {
        self.enforcement.audit_queue.as_ref()
    }

    /// Asks `source` for the claims of the user of `token`; `store_unavailable` if it fails.
    async fn ask_claims_source(
        &self,
        source: &dyn ClaimsSource,
        token: &VerifiedToken,
    ) -> Result<CurrentClaims, Rejection> {
        let changes = self.enforcement.claims_changes.as_deref();
        let asked = ask_claims_source(source, token, changes, &*self.enforcement.clock).await;
        asked.map_err(|_| RejectionKind::StoreUnavailable.into())
    }

    async fn answer<T: Unpin>(&self, answer: MaybeReady<T>) -> Result<T, Rejection> {
        self.enforcement.answer(answer).await
    }
}
