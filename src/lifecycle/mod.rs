//! A session's whole life: sign-in, refresh, sign-out, and what an account's owner decides.

mod account_policy;
mod directory;
mod grant;
mod list;
mod refresh;
mod revoke;
mod start;

use std::{sync::Arc, time::Duration};

pub use self::{
    account_policy::{AccountPolicy, AccountPolicyError},
    directory::{DirectoryEntry, UserDirectory},
    grant::Grant,
    refresh::Refresh,
    start::{Start, StartError},
};
use crate::{
    audit::{AuditEvent, AuditQueue, AuditSubject},
    identity::StoreKey,
    maybe_ready::{LIFECYCLE_TIME_LIMIT, MaybeReady, within},
    policy::OverrideBounds,
    rejection::{Rejection, RejectionKind},
    session::Enforcement,
    store::LifecycleStore,
    time::Timestamp,
    token::{ClaimsSource, TokenVerifier},
};

/// What the lifecycle works with.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    pub(crate) verifier: TokenVerifier,
    pub(crate) enforcement: Arc<Enforcement>,
    /// Where whole lives are kept; without it there are no refresh tokens, lists and policies.
    pub(crate) records: Option<Arc<dyn LifecycleStore>>,
    pub(crate) claims: Option<Arc<dyn ClaimsSource>>,
    /// Whether there are refresh tokens, and how long a replay is answered with the successor.
    pub(crate) reuse_grace: Option<Duration>,
    pub(crate) bounds: OverrideBounds,
    pub(crate) audit_queue: Option<AuditQueue>,
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

    /// Past this instant no session of today can be alive.
    fn latest_end(&self, now: Timestamp) -> Timestamp {
        let profiles = &self.enforcement.profiles;
        let longest = profiles.longest_absolute_timeout().max(*self.bounds.absolute.end());
        now + longest + profiles.widest_clock_skew()
    }

    /// The store of whole lives. Without one its questions have no answer, as in an outage.
    fn records(&self) -> Result<&dyn LifecycleStore, Rejection> {
        self.records.as_deref().ok_or_else(|| {
            tracing::warn!("this needs a lifecycle store, and another store is set");
            RejectionKind::StoreUnavailable.into()
        })
    }

    async fn answer<T: Unpin>(&self, answer: MaybeReady<T>) -> Result<T, Rejection> {
        within(answer, &*self.enforcement.clock, LIFECYCLE_TIME_LIMIT).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the lifecycle store failed");
            RejectionKind::StoreUnavailable.into()
        })
    }

    fn note(&self, event: &AuditEvent, at: Timestamp, about: &AuditSubject) {
        if let Some(audit_queue) = &self.audit_queue {
            audit_queue.note(event, at, about);
        }
    }
}
