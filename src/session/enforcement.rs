//! Enforcement: determines the status of a session from its token and the answer of a store.

use std::{borrow::Cow, sync::Arc};

use super::{OnStoreFailure, Rejected, StoreAnswer, UnknownSessions, live_claims::LiveClaims};
use crate::{
    audit::AuditQueue,
    clock::Clock,
    identity::{CutoffScope, StoreKey},
    metrics,
    policy::{Policy, Profiles, TimeoutOverrides},
    rejection::{Rejection, RejectionKind, RevocationCause},
    rules::{self, ExpiryReason, SessionStatus, Timeouts},
    store::{
        AccountPolicies, Attempts, ClaimsChanges, LifecycleStore, Revocations, SessionStore,
        StoredSession, TouchOutcome,
    },
    time::Timestamp,
    token::{Purpose, VerifiedToken},
    transport::SessionCookie,
};

/// The policies, the clock and the store with which layers and lifecycle enforce sessions.
#[derive(Clone)]
pub(crate) struct Enforcement {
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) clock: Arc<dyn Clock>,
    store: Option<Arc<dyn SessionStore>>,
    /// The same store, where it also keeps records of sessions.
    lifecycle_store: Option<Arc<dyn LifecycleStore>>,
    pub(crate) audit_queue: Option<AuditQueue>,
    /// The session cookie, if one of the transports reads it.
    pub(crate) cookie: Option<SessionCookie>,
    /// The store returns it once, when the layers are built.
    pub(super) revocations: Option<Arc<Revocations>>,
    account_policies: Option<Arc<AccountPolicies>>,
    pub(crate) claims_changes: Option<Arc<ClaimsChanges>>,
    /// Asked for the claims of a token that are stale; without it none are.
    pub(super) live_claims: Option<Arc<LiveClaims>>,
    /// What this node remembers of an outage of the store.
    pub(super) attempts: Arc<Attempts>,
    pub(crate) unknown_sessions: UnknownSessions,
    pub(crate) on_failure: OnStoreFailure,
}

/// A session whose status is to be determined.
#[derive(Clone, Copy)]
pub(crate) struct SessionCheck<'a> {
    pub(crate) token: &'a VerifiedToken,
    pub(crate) purpose: Purpose,
    pub(crate) answer: StoreAnswer,
    /// An activity that the caller knows of beside the store's, such as that of its own request.
    pub(crate) known_activity: Option<Timestamp>,
    /// Whether the session ends with its token: not that of a stream, where a store knows it (P36).
    pub(crate) ends_with_token: bool,
    pub(crate) now: Timestamp,
}

impl<'a> SessionCheck<'a> {
    /// The session of an access token.
    pub(crate) const fn new(token: &'a VerifiedToken, answer: StoreAnswer, now: Timestamp) -> Self {
        let (purpose, known_activity) = (Purpose::Access, None);
        Self { token, purpose, answer, known_activity, ends_with_token: true, now }
    }

    /// The latest activity of the token, the store and the caller.
    #[inline(always)]
    pub(super) fn last_activity(&self, enforcement: &Enforcement, policy: &Policy) -> Timestamp {
        let stored = match self.answer {
            StoreAnswer::Get(StoredSession::Unknown) => {
                Some(enforcement.unknown_activity(self.token, self.purpose, policy, self.now))
            }
            StoreAnswer::Get(StoredSession::ActivityLost { last_seen, lost_until }) => {
                let unknown =
                    enforcement.unknown_activity(self.token, self.purpose, policy, self.now);
                Some(rules::activity_before_loss(last_seen, unknown, lost_until))
            }
            StoreAnswer::Touch(TouchOutcome::Active(at)) => at,
            StoreAnswer::Touch(TouchOutcome::Idle(at))
            | StoreAnswer::Get(StoredSession::Active(at)) => Some(at),
            _ => None,
        };
        rules::last_activity(self.token.claims(), stored.max(self.known_activity), self.now)
    }

    #[inline(always)]
    fn status(&self, last_activity: Timestamp, policy: &Policy) -> SessionStatus {
        let is_idle_checked = match self.answer {
            StoreAnswer::NotAsked => false,
            // Without a record of activity the token proves the last one.
            StoreAnswer::Failed => !policy.records_activity(),
            StoreAnswer::Touch(_) | StoreAnswer::Get(_) => true,
        };
        let claims = self.token.claims();
        match self.purpose {
            Purpose::Access | Purpose::Ticket => {
                let last_activity = is_idle_checked.then_some(last_activity);
                if self.ends_with_token {
                    rules::status(claims, last_activity, policy, self.now)
                } else {
                    rules::session_status(claims, last_activity, policy, self.now)
                }
            }
            Purpose::Refresh => rules::refresh_status(claims, last_activity, policy, self.now),
        }
    }

    /// What revoked the session, if anything did.
    fn revocation(
        &self,
        cutoff: Option<CutoffScope>,
        rejects_unknown: bool,
    ) -> Option<RevocationCause> {
        match self.answer {
            StoreAnswer::Touch(TouchOutcome::Ended) | StoreAnswer::Get(StoredSession::Ended) => {
                Some(RevocationCause::Tombstone)
            }
            StoreAnswer::Touch(TouchOutcome::Unknown)
            | StoreAnswer::Get(StoredSession::Unknown)
                if rejects_unknown =>
            {
                Some(RevocationCause::UnknownSession)
            }
            _ => cutoff.map(Into::into),
        }
    }
}

impl Enforcement {
    pub(crate) fn new(profiles: Arc<Profiles>, clock: Arc<dyn Clock>) -> Self {
        metrics::register();
        Self {
            profiles,
            clock,
            store: None,
            lifecycle_store: None,
            audit_queue: None,
            cookie: None,
            revocations: None,
            account_policies: None,
            claims_changes: None,
            live_claims: None,
            attempts: Arc::new(Attempts::new()),
            unknown_sessions: UnknownSessions::Adopt,
            on_failure: OnStoreFailure::Reject,
        }
    }

    pub(crate) fn with_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.revocations = store.revocations();
        self.account_policies = store.account_policies();
        self.claims_changes = store.claims_changes();
        store.set_max_clock_skew(self.profiles.widest_clock_skew());
        self.store = Some(store);
        self
    }

    pub(crate) const fn with_on_failure(mut self, on_failure: OnStoreFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    pub(crate) const fn with_unknown_sessions(mut self, unknown: UnknownSessions) -> Self {
        self.unknown_sessions = unknown;
        self
    }

    pub(crate) fn with_lifecycle_store(mut self, store: Option<Arc<dyn LifecycleStore>>) -> Self {
        self.lifecycle_store = store;
        self
    }

    pub(crate) fn with_audit_queue(mut self, audit_queue: AuditQueue) -> Self {
        self.audit_queue = Some(audit_queue);
        self
    }

    pub(crate) fn with_cookie(mut self, cookie: Option<SessionCookie>) -> Self {
        self.cookie = cookie;
        self
    }

    pub(crate) fn store(&self) -> Option<&Arc<dyn SessionStore>> {
        self.store.as_ref()
    }

    pub(crate) fn lifecycle_store(&self) -> Option<&Arc<dyn LifecycleStore>> {
        self.lifecycle_store.as_ref()
    }

    /// Determines the status of a session: its last activity if it is active, else the rejection.
    ///
    /// The caller has asked the store. The revocation cutoffs are read here, after that wait: a
    /// cutoff that arrived meanwhile counts.
    ///
    /// The first of these that applies is the reason: invalid times, a tombstone or a cutoff, the
    /// earliest passed deadline, a store that failed.
    #[inline(always)]
    pub(crate) fn enforce(&self, check: &SessionCheck<'_>) -> Result<Timestamp, Rejected> {
        let SessionCheck { token, answer, now, .. } = *check;
        let cutoff = self.revoked_by(token);
        if let (StoreAnswer::Touch(TouchOutcome::Active(before)), None) = (answer, cutoff) {
            // The store has checked the idle timeout. A clock that was set back moves nothing back.
            return Ok(before.map_or(now, |before| before.max(now)));
        }
        let policy = self.policy(token);
        let last_activity = check.last_activity(self, &policy);
        let last_activity = self.with_attempts(token, last_activity, &policy);
        let status = check.status(last_activity, &policy);
        let may_be_active = match answer {
            StoreAnswer::NotAsked
            | StoreAnswer::Get(StoredSession::Active(_) | StoredSession::ActivityLost { .. }) => {
                true
            }
            StoreAnswer::Get(StoredSession::Unknown) => !self.rejects_unknown(),
            _ => false,
        };
        if may_be_active && cutoff.is_none() && matches!(status, SessionStatus::Active { .. }) {
            return Ok(last_activity);
        }
        let rejection = self.rejection(check, status, cutoff, &policy);
        rejection.map_or(Ok(last_activity), |rejection| Err(Rejected { rejection, last_activity }))
    }

    #[cold]
    fn rejection(
        &self,
        check: &SessionCheck<'_>,
        status: SessionStatus,
        cutoff: Option<CutoffScope>,
        policy: &Policy,
    ) -> Option<Rejection> {
        let is_of_time = matches!(status, SessionStatus::Invalid(_) | SessionStatus::Expired(_));
        if is_of_time && cutoff.is_none() && self.has_wrong_clock(check.now) {
            return Some(RejectionKind::StoreUnavailable.into());
        }
        if let SessionStatus::Invalid(time) = status {
            return Some(Rejection::invalid_token(time.into()));
        }
        if let Some(cause) = check.revocation(cutoff, self.rejects_unknown()) {
            return Some(Rejection::session_revoked(cause));
        }
        match (status, check.answer) {
            (SessionStatus::Expired(ExpiryReason::Idle), _)
                if self.may_lack_activity(check, policy) =>
            {
                Some(Rejection::activity_unwritten())
            }
            (SessionStatus::Expired(reason), answer) => {
                if matches!(answer, StoreAnswer::Touch(_) | StoreAnswer::Get(_)) {
                    self.end_if_shortened(check.token, reason, policy);
                }
                let timeouts = Timeouts::effective(check.token.claims(), policy);
                Some(match reason {
                    ExpiryReason::Idle => Rejection::session_expired_idle(timeouts.idle),
                    reason => reason.into(),
                })
            }
            (_, StoreAnswer::Failed) => Some(RejectionKind::StoreUnavailable.into()),
            _ => None,
        }
    }

    /// Whether the store has found the clock of this node to be wrong: then no instant of a token can be
    /// judged by `now`.
    fn has_wrong_clock(&self, now: Timestamp) -> bool {
        self.store.as_ref().is_some_and(|store| store.correct_time(now) != now)
    }

    /// The scope whose cutoff revoked the session of `token`, if one did: one atomic load where no
    /// cutoff is as late as the session.
    #[inline(always)]
    fn revoked_by(&self, token: &VerifiedToken) -> Option<CutoffScope> {
        let revocations = self.revocations.as_ref()?;
        let epoch = self.epoch(token);
        if revocations.has_since(epoch) {
            Self::find_cutoff(revocations, token, epoch)
        } else {
            None
        }
    }

    #[cold]
    fn find_cutoff(
        revocations: &Revocations,
        token: &VerifiedToken,
        epoch: Timestamp,
    ) -> Option<CutoffScope> {
        let session = token.session_key();
        let cutoff = revocations.revoked_by(session, epoch, || *token.scopes())?;
        if token.claims().epoch.is_none() {
            // No store began the session, so its tombstone was not folded.
            return revocations.find_cutoff(session, epoch, *token.scopes());
        }
        Some(cutoff)
    }

    /// When the session of `token` began, for comparison with revocation cutoffs. A cutoff lies after
    /// its revocation by the skew; a token without `epoch` is compared with the cutoff less the skew,
    /// so that another issuer may sign the user in again at once.
    #[inline(always)]
    pub(crate) fn epoch(&self, token: &VerifiedToken) -> Timestamp {
        let claims = token.claims();
        claims.epoch.unwrap_or_else(|| claims.auth_time + self.profiles.widest_clock_skew())
    }

    /// The policy in force for the session of `token`.
    #[inline(always)]
    pub(crate) fn policy(&self, token: &VerifiedToken) -> Cow<'_, Policy> {
        let profile = token.claims().session_profile.as_deref();
        self.profiles.effective(profile, self.overrides(|| token.scopes().account))
    }

    /// The last activity that is assumed of a session that the store does not know: a restart must
    /// not sign out an active user (P33).
    #[inline]
    pub(crate) fn unknown_activity(
        &self,
        token: &VerifiedToken,
        purpose: Purpose,
        policy: &Policy,
        now: Timestamp,
    ) -> Timestamp {
        match self.unknown_sessions {
            UnknownSessions::Adopt if token.claims().is_minted_elsewhere() => now,
            UnknownSessions::Adopt => {
                let span = match purpose {
                    Purpose::Access | Purpose::Ticket => policy.untraced_activity(),
                    // Neither renewed access tokens nor requests with them leave a trace in it.
                    Purpose::Refresh if policy.renews() => return now,
                    Purpose::Refresh => policy.token_lifetime(),
                };
                rules::unknown_activity(token.claims(), span, now)
            }
            UnknownSessions::JudgeByToken | UnknownSessions::Reject => {
                token.claims().proven_activity(now)
            }
        }
    }

    pub(crate) fn rejects_unknown(&self) -> bool {
        self.unknown_sessions == UnknownSessions::Reject
    }

    /// The overrides of an account. Its key is computed only where any account has overrides.
    #[inline]
    pub(crate) fn overrides(
        &self,
        account: impl FnOnce() -> Option<StoreKey>,
    ) -> Option<TimeoutOverrides> {
        self.account_policies.as_ref()?.overrides(account)
    }

    /// The latest instant at which the session of `token` can be active, whatever policies become.
    pub(crate) fn latest_end(&self, token: &VerifiedToken) -> Timestamp {
        let claims = token.claims();
        let longest = || self.profiles.longest_absolute_timeout();
        let absolute = claims.auth_time + claims.abs_max.unwrap_or_else(longest);
        absolute.max(rules::adopted_until(claims)) + self.profiles.widest_clock_skew()
    }

    #[inline]
    pub(super) fn shares_store_with(&self, other: &Self) -> bool {
        if std::ptr::eq(self, other) {
            return self.store.is_some();
        }
        match (&self.store, &other.store) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}
