//! Refresh rotation: exchanges a refresh token for the next pair of tokens.

use std::{
    borrow::Cow,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use super::{Grant, Lifecycle};
use crate::{
    audit::{AuditEvent, AuditRecord, SessionEndCause},
    maybe_ready::MaybeReady,
    metrics,
    policy::Policy,
    rejection::{Rejection, RejectionCause, RejectionKind},
    request_class::Activity,
    rules::{self, RecordedExchange, RefreshStep, Timeouts},
    session::{Rejected, SessionCheck, StoreAnswer, WaitingTime},
    store::{
        LifecycleStore, RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation,
        StoredSession, SuccessorIds, TokenExchange, Touch, TouchOutcome,
    },
    time::Timestamp,
    token::{
        CurrentClaims, GrantedClaims, Purpose, Seen, Succession, VerifiedToken, check_length,
        new_id, successor_payload,
    },
    transport::MAX_TOKEN,
};

/// The exchange of a refresh token. Await it for the [`Grant`].
///
/// A refresh token is good for one exchange. Presented again within `reuse_grace` and the clock
/// skew it returns the same successors, and later as long as neither of them was presented: the
/// answer was lost. Otherwise the session is revoked: the client or an attacker has a copy (RFC 9700
/// section 4.14.2). A session that the store has lost goes on. `auth_time`, timeouts and epoch are
/// kept; the app's claims come from the claims source.
#[must_use = "a token is exchanged when this is awaited"]
pub struct Refresh<'a> {
    lifecycle: &'a Lifecycle,
    token: &'a str,
    is_activity: bool,
}

impl<'a> Refresh<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, token: &'a str) -> Self {
        let is_activity = matches!(lifecycle.activity, Activity::Requests);
        Self { lifecycle, token, is_activity }
    }

    /// The user has caused the refresh: it is activity. The default, but for
    /// [`Activity::Declared`].
    pub const fn user(mut self) -> Self {
        self.is_activity = true;
        self
    }

    /// The client refreshes without a user: the refresh is no activity and does not move the idle
    /// deadline (P17).
    pub const fn background(mut self) -> Self {
        self.is_activity = false;
        self
    }

    async fn run(self) -> Result<Grant, Rejection> {
        let Self { lifecycle, token, is_activity } = self;
        let grace = lifecycle.reuse_grace.ok_or_else(invalid)?;
        let token = lifecycle
            .verifier
            .verify_refresh(token)
            .map_err(|error| invalid().with_cause(RejectionCause::InvalidToken(error.reason())));
        let token = token.inspect_err(|_| metrics::count_refresh("refused"))?;
        let records = lifecycle.lifecycle_store()?;
        let now = lifecycle.now();
        let waiting_time = WaitingTime::default();
        let exchange =
            Exchange { lifecycle, records, grace, token, is_activity, now, waiting_time };
        let granted = exchange.run().await;
        if let Err(rejection) = &granted {
            metrics::count_refresh(match rejection.kind() {
                RejectionKind::RefreshTokenReused => "reused",
                RejectionKind::StoreUnavailable => "unavailable",
                _ => "refused",
            });
        }
        if let Err(rejection) = &granted
            && is_activity
        {
            lifecycle.enforcement.record_attempt(&exchange.token, rejection, now);
        }
        granted
    }
}

impl<'a> IntoFuture for Refresh<'a> {
    type Output = Result<Grant, Rejection>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Refresh<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("is_activity", &self.is_activity).finish_non_exhaustive()
    }
}

/// The exchange of one verified refresh token.
struct Exchange<'a> {
    lifecycle: &'a Lifecycle,
    records: &'a dyn LifecycleStore,
    grace: Duration,
    token: Arc<VerifiedToken>,
    is_activity: bool,
    now: Timestamp,
    waiting_time: WaitingTime,
}

impl Exchange<'_> {
    async fn run(&self) -> Result<Grant, Rejection> {
        let state = self.ask().await?;
        let stored = match &state {
            RefreshState::Known(RefreshedSession { last_seen, .. })
            | RefreshState::Unknown(Some(last_seen)) => StoredSession::Active(*last_seen),
            RefreshState::Unknown(None) => StoredSession::Unknown,
            RefreshState::Revoked => StoredSession::Ended,
        };
        let check = SessionCheck {
            purpose: Purpose::Refresh,
            ..SessionCheck::new(&self.token, StoreAnswer::Get(stored), self.now)
        };
        match self.lifecycle.enforcement.enforce(&check) {
            Ok(last_activity) => self.step(state, last_activity).await,
            Err(rejected) if rejected.rejection.kind().is_expiry() => self.expired(rejected).await,
            Err(rejected) if rejected.rejection.kind() == RejectionKind::StoreUnavailable => {
                Err(rejected.rejection)
            }
            Err(rejected) => Err(match rejected.rejection.cause() {
                Some(cause) => invalid().with_cause(cause),
                None => invalid(),
            }),
        }
    }

    /// Does what the generation of the token is good for.
    async fn step(
        &self,
        state: RefreshState,
        last_activity: Timestamp,
    ) -> Result<Grant, Rejection> {
        let recorded = match state {
            RefreshState::Unknown(_) => return self.exchange(last_activity).await,
            RefreshState::Revoked => return Err(invalid()),
            RefreshState::Known(recorded) => recorded,
        };
        match self.refresh_step(&recorded) {
            RefreshStep::Exchange => self.exchange(last_activity).await,
            _ => self.again(&recorded, last_activity).await,
        }
    }

    /// Answers a token that was consumed before: with its successors, or a rejection.
    async fn again(
        &self,
        recorded: &RefreshedSession,
        last_activity: Timestamp,
    ) -> Result<Grant, Rejection> {
        let exchange = recorded.exchange.as_ref();
        let successors = exchange.and_then(|it| it.successors.as_ref().map(|ids| (it.at, ids)));
        match (self.refresh_step(recorded), successors) {
            (RefreshStep::Repeat, Some((at, ids))) => {
                let claims = match self.current_claims().await? {
                    CurrentClaims::Granted(claims) => claims,
                    denied => return self.deny(&denied, last_activity).await,
                };
                let grant = self.grant(&self.successors(ids, at, last_activity, &claims))?;
                if self.is_activity {
                    self.touch(last_activity).await?;
                }
                metrics::count_refresh("repeated");
                Ok(grant)
            }
            (RefreshStep::Reused, _) => {
                self.revoke(AuditEvent::RefreshReuseDetected).await?;
                Err(RejectionKind::RefreshTokenReused.into())
            }
            _ => Err(invalid()),
        }
    }

    fn refresh_step(&self, recorded: &RefreshedSession) -> RefreshStep {
        let exchange = recorded.exchange.as_ref();
        let recorded = RecordedExchange {
            generation: recorded.generation,
            at: exchange.map(|exchange| exchange.at),
            has_successors: exchange.is_some_and(|exchange| exchange.successors.is_some()),
            presented: recorded.presented,
        };
        let (generation, skew) = (self.token.claims().generation, self.policy().max_clock_skew());
        rules::refresh_step(generation, recorded, self.grace, skew, self.now)
    }

    fn policy(&self) -> Cow<'_, Policy> {
        self.lifecycle.enforcement.policy(&self.token)
    }

    fn audit(&self, event: AuditEvent) -> AuditRecord {
        self.lifecycle.enforcement.audit(&self.token, event, self.now)
    }

    fn query(&self) -> RefreshQuery {
        let (token, enforcement) = (&self.token, &self.lifecycle.enforcement);
        let query =
            RefreshQuery::new(token.session_key(), enforcement.epoch(token), *token.scopes());
        let unknown_activity =
            enforcement.unknown_activity(token, Purpose::Refresh, &self.policy(), self.now);
        RefreshQuery { unknown_activity, ..query }
    }

    /// Waits for the store, for as long as is left.
    async fn answer<T: Unpin>(&self, answer: MaybeReady<T>) -> Result<T, Rejection> {
        self.lifecycle.enforcement.answer_in_time(answer, &self.waiting_time).await
    }

    async fn ask(&self) -> Result<RefreshState, Rejection> {
        self.answer(self.records.refresh_state(self.query())).await
    }

    /// Records the activity of a refresh that changes no generation.
    async fn touch(&self, last_activity: Timestamp) -> Result<(), Rejection> {
        let idle = Timeouts::effective(self.token.claims(), &self.policy()).idle;
        let touch = Touch::new(self.now, last_activity, idle).known_only();
        match self.answer(self.records.touch(self.token.keys(), touch)).await? {
            TouchOutcome::Ended => Err(invalid()),
            _ => Ok(()),
        }
    }

    /// The session has expired. Past the idle timeout nothing is written. Past the absolute timeout a
    /// tombstone makes the end final, unless an earlier system's access token may be active (P33).
    async fn expired(&self, rejected: Rejected) -> Result<Grant, Rejection> {
        let enforcement = &self.lifecycle.enforcement;
        if rejected.rejection.kind() == RejectionKind::SessionExpiredAbsolute
            && !self.token.is_adopted()
        {
            let tombstone = enforcement.tombstone(&self.token, self.now);
            self.answer(self.records.write_tombstone(tombstone)).await?;
        }
        rejected.record(&self.token, self.now, self.lifecycle.audit_queue());
        Err(rejected.rejection)
    }

    async fn exchange(&self, last_activity: Timestamp) -> Result<Grant, Rejection> {
        let claims = match self.current_claims().await? {
            CurrentClaims::Granted(claims) => claims,
            denied => return self.deny(&denied, last_activity).await,
        };
        let ids = SuccessorIds::new(new_id(), new_id());
        let successors = self.successors(&ids, self.now, last_activity, &claims);
        // Signed before the presented token is consumed: the key may fail, or have changed since.
        let grant = self.grant(&successors)?;
        match self.rotate(Some(ids), last_activity).await? {
            Rotated::Done => {
                let enforcement = &self.lifecycle.enforcement;
                enforcement.record(self.audit(AuditEvent::SessionRenewed));
                let session = self.token.session_key();
                let times = rules::successor_times(self.token.claims(), &self.policy(), self.now);
                let activity = if self.is_activity { times.iat } else { last_activity };
                enforcement.announce_renewal(session, times, activity, &successors.access);
                metrics::count_refresh("first");
                Ok(grant)
            }
            // Another refresh with the same token came first.
            Rotated::Refused(RefreshState::Known(recorded)) => {
                self.again(&recorded, last_activity).await
            }
            Rotated::Refused(_) => Err(invalid()),
        }
    }

    /// The app's claims now; as they are without a claims source.
    async fn current_claims(&self) -> Result<CurrentClaims, Rejection> {
        let Some(source) = &self.lifecycle.claims else {
            return Ok(CurrentClaims::Granted(GrantedClaims::from_token(&self.token)));
        };
        self.lifecycle.ask_claims_source(&**source, &self.token).await
    }

    /// The claims source denies the user a token: consumes the presented one.
    async fn deny(
        &self,
        denied: &CurrentClaims,
        last_activity: Timestamp,
    ) -> Result<Grant, Rejection> {
        self.rotate(None, last_activity).await?;
        self.lifecycle.enforcement.record(self.audit(AuditEvent::RenewalDenied));
        if matches!(denied, CurrentClaims::Ended) {
            self.revoke(AuditEvent::SessionEnded { cause: SessionEndCause::ClaimsSource }).await?;
        }
        Err(invalid())
    }

    async fn revoke(&self, event: AuditEvent) -> Result<(), Rejection> {
        let enforcement = &self.lifecycle.enforcement;
        let tombstone = enforcement.tombstone(&self.token, self.now);
        enforcement.revoke_in_time(tombstone, self.audit(event), &self.waiting_time).await
    }

    async fn rotate(
        &self,
        successors: Option<SuccessorIds>,
        last_activity: Timestamp,
    ) -> Result<Rotated, Rejection> {
        let is_activity = self.is_activity && successors.is_some();
        let exchange = TokenExchange::new(self.now, successors);
        let record = self.lifecycle.enforcement.session_record(&self.token, last_activity);
        let generation = self.token.claims().generation;
        let mut rotation = Rotation::new(self.query(), generation, exchange, record);
        rotation.is_activity = is_activity;
        self.answer(self.records.rotate(rotation)).await
    }

    /// The payloads of the successors of an exchange at `at`.
    fn successors(
        &self,
        ids: &SuccessorIds,
        at: Timestamp,
        last_activity: Timestamp,
        claims: &GrantedClaims,
    ) -> Successors {
        let (token, policy) = (&*self.token, self.policy());
        let limits = Timeouts::effective(token.claims(), &policy);
        let seen = if self.is_activity { Seen::AtMint } else { Seen::Earlier(last_activity) };
        let generation = token.claims().generation.saturating_add(1);
        let times = rules::successor_times(token.claims(), &policy, at);
        let id = &ids.access;
        let access = Succession { times, seen, limits, claims, id, generation };
        let exp = rules::refresh_exp(token.claims(), &policy);
        let times = rules::TokenTimes { exp, ..times };
        let refresh = Succession { times, id: &ids.refresh, ..access };
        Successors {
            access: successor_payload(token, access),
            refresh: successor_payload(token, refresh),
        }
    }

    /// Rejects successors that nothing would take back.
    fn check_length(&self, successors: &Successors) -> Result<(), Rejection> {
        let Successors { access, refresh } = successors;
        let (keys, any) = (self.lifecycle.verifier.keys(), self.lifecycle.limits.any);
        check_length(keys, access, Purpose::Access, any)
            .and_then(|()| check_length(keys, refresh, Purpose::Refresh, MAX_TOKEN))
            .map_err(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "not refreshed");
                RejectionKind::StoreUnavailable.into()
            })
    }

    fn grant(&self, successors: &Successors) -> Result<Grant, Rejection> {
        self.check_length(successors)?;
        let Successors { access, refresh } = successors;
        let policy = self.policy();
        let verifier = &self.lifecycle.verifier;
        Grant::sign(verifier, access, Some(refresh), &policy, self.now).map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the signing key failed");
            RejectionKind::StoreUnavailable.into()
        })
    }
}

/// The payloads of an access token and a refresh token.
struct Successors {
    access: String,
    refresh: String,
}

fn invalid() -> Rejection {
    RejectionKind::InvalidRefreshToken.into()
}
