//! Refresh rotation: exchanges a refresh token for the next pair of tokens.

use std::{
    borrow::Cow,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use super::{Grant, Lifecycle};
use crate::{
    audit::{AuditEvent, AuditRecord},
    identity::StoreKey,
    policy::Policy,
    rejection::{Rejection, RejectionCause, RejectionKind},
    rules::{self, Timeouts},
    session::{Rejected, SessionCheck, StoreAnswer},
    store::{
        LifecycleStore, RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation,
        SessionRecord, StoredSession, SuccessorPayloads, TokenState,
    },
    time::Timestamp,
    token::{
        AppClaims, CLAIMS_SOURCE_TIME_LIMIT, ClaimsUpdate, Purpose, RefreshToken, Seen,
        VerifiedToken, ask_claims_source, check_length, new_id, successor_payload,
    },
    transport::MAX_TOKEN,
};

/// The exchange of a refresh token. Await it for the [`Grant`].
///
/// A refresh token is good for one exchange. Presented again within `reuse_grace` it returns the
/// same successors while they are unused. Later the session is revoked: the client or an attacker
/// has a copy (RFC 9700 section 4.14.2). `auth_time`, timeouts and epoch are kept; the app's claims
/// come from the claims source.
#[must_use = "a token is exchanged when this is awaited"]
pub struct Refresh<'a> {
    lifecycle: &'a Lifecycle,
    token: &'a str,
    is_activity: bool,
}

impl<'a> Refresh<'a> {
    pub(crate) const fn new(lifecycle: &'a Lifecycle, token: &'a str) -> Self {
        Self { lifecycle, token, is_activity: true }
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
        let presented = lifecycle
            .verifier
            .verify_refresh(token)
            .map_err(|error| invalid().with_cause(RejectionCause::InvalidToken(error.reason())))?;
        let records = lifecycle.lifecycle_store()?;
        let now = lifecycle.now();
        let exchange = Exchange { lifecycle, records, grace, presented, is_activity, now };
        let granted = exchange.run().await;
        if let Err(rejection) = &granted
            && rejection.kind() == RejectionKind::StoreUnavailable
            && is_activity
        {
            lifecycle.enforcement.record_attempt(exchange.token(), now);
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
    presented: RefreshToken,
    is_activity: bool,
    now: Timestamp,
}

impl Exchange<'_> {
    async fn run(&self) -> Result<Grant, Rejection> {
        let RefreshState { session, token } = self.ask().await?;
        let stored = match session {
            RefreshedSession::Known(at) => StoredSession::Active(at),
            RefreshedSession::Revoked => StoredSession::Ended,
            RefreshedSession::Unknown if self.token().is_adopted() => StoredSession::Unknown,
            RefreshedSession::Unknown => return Err(invalid()),
        };
        let check = SessionCheck {
            purpose: Purpose::Refresh,
            ..SessionCheck::new(self.token(), StoreAnswer::Get(stored), self.now)
        };
        match self.lifecycle.enforcement.enforce(&check) {
            Ok(_) if token != TokenState::Unused => self.again(token).await,
            Ok(last_activity) => self.exchange(last_activity).await,
            Err(rejected) if rejected.rejection.kind().is_expiry() => self.expired(rejected).await,
            Err(rejected) => Err(match rejected.rejection.cause() {
                Some(cause) => invalid().with_cause(cause),
                None => invalid(),
            }),
        }
    }

    fn token(&self) -> &VerifiedToken {
        &self.presented.verified
    }

    fn policy(&self) -> Cow<'_, Policy> {
        self.lifecycle.enforcement.policy(self.token())
    }

    fn audit(&self, event: AuditEvent) -> AuditRecord {
        self.lifecycle.enforcement.audit(self.token(), event, self.now)
    }

    fn question(&self) -> RefreshQuery {
        let token = self.token();
        let epoch = self.lifecycle.enforcement.epoch(token);
        RefreshQuery::new(token.session_key(), self.presented.key, epoch, *token.scopes())
    }

    async fn ask(&self) -> Result<RefreshState, Rejection> {
        self.lifecycle.answer(self.records.refresh_state(self.question())).await
    }

    /// The session has expired. Past the idle timeout nothing is written. Past the absolute timeout a
    /// tombstone makes the end final.
    async fn expired(&self, rejected: Rejected) -> Result<Grant, Rejection> {
        let enforcement = &self.lifecycle.enforcement;
        if rejected.rejection.kind() == RejectionKind::SessionExpiredAbsolute {
            let (session, until) =
                (self.token().session_key(), enforcement.latest_end(self.token()));
            self.lifecycle.answer(self.records.write_tombstone(session, until)).await?;
        }
        rejected.record(self.token(), self.now, self.lifecycle.audit_queue());
        Err(rejected.rejection)
    }

    async fn exchange(&self, last_activity: Timestamp) -> Result<Grant, Rejection> {
        let app = match self.current_claims().await? {
            Ok(app) => app,
            Err(ends) => return self.deny(ends, last_activity).await,
        };
        let successors = self.successors(last_activity, app.as_ref());
        self.check_length(&successors)?;
        match self.rotate(Some(successors.clone()), last_activity).await? {
            Rotated::Done => {
                self.lifecycle.enforcement.record(self.audit(AuditEvent::SessionRenewed));
                self.grant(&successors)
            }
            Rotated::Refused(state) => match state.session {
                RefreshedSession::Known(_) => self.again(state.token).await,
                _ => Err(invalid()),
            },
        }
    }

    /// The app's claims now; `Err` if the user gets no token, with whether the session ends.
    async fn current_claims(&self) -> Result<Result<Option<AppClaims>, bool>, Rejection> {
        let Some(source) = &self.lifecycle.claims else { return Ok(Ok(None)) };
        let clock = &*self.lifecycle.enforcement.clock;
        match ask_claims_source(&**source, self.token(), clock, CLAIMS_SOURCE_TIME_LIMIT).await {
            Ok(ClaimsUpdate::Keep) => Ok(Ok(None)),
            Ok(ClaimsUpdate::Replace(claims)) => Ok(Ok(Some(claims.0))),
            Ok(ClaimsUpdate::Deny) => Ok(Err(false)),
            Ok(ClaimsUpdate::End) => Ok(Err(true)),
            Err(_) => Err(RejectionKind::StoreUnavailable.into()),
        }
    }

    /// The claims source denies the user a token: consumes the presented one.
    async fn deny(&self, ends: bool, last_activity: Timestamp) -> Result<Grant, Rejection> {
        self.rotate(None, last_activity).await?;
        self.lifecycle.enforcement.record(self.audit(AuditEvent::RenewalDenied));
        if ends {
            self.revoke(AuditEvent::SessionEnded).await?;
        }
        Err(invalid())
    }

    /// The token was used before: a retry within the grace, or reuse.
    async fn again(&self, token: TokenState) -> Result<Grant, Rejection> {
        match token {
            TokenState::Used { at, successor, had_successor: true } if !self.grace.is_zero() => {
                if let Some(successors) = successor
                    && self.now < at + self.grace
                {
                    return self.grant(&successors);
                }
                self.revoke(AuditEvent::RefreshReuseDetected).await?;
                Err(RejectionKind::RefreshTokenReused.into())
            }
            TokenState::Used { .. } | TokenState::Unused => Err(invalid()),
        }
    }

    async fn revoke(&self, event: AuditEvent) -> Result<(), Rejection> {
        let (session, until) = (self.token().session_key(), self.lifecycle.latest_end(self.now));
        self.lifecycle.enforcement.revoke(session, until, self.audit(event)).await
    }

    async fn rotate(
        &self,
        successors: Option<SuccessorPayloads>,
        last_activity: Timestamp,
    ) -> Result<Rotated, Rejection> {
        let until = self.token().claims().exp.max(self.now + self.grace);
        let mut rotation = Rotation::new(self.question(), self.now, until);
        rotation.is_activity = self.is_activity && successors.is_some();
        rotation.adopt = self.token().is_adopted().then(|| self.record(last_activity));
        rotation.successors = successors;
        self.lifecycle.answer(self.records.rotate(rotation)).await
    }

    /// The record of an adopted session, which the store does not know yet.
    fn record(&self, last_activity: Timestamp) -> SessionRecord {
        let (token, claims) = (self.token(), self.token().claims());
        let Timeouts { idle, absolute, .. } = Timeouts::effective(claims, &self.policy());
        let (key, scopes) = (token.session_key(), *token.scopes());
        let mut record =
            SessionRecord::from_claims(key, scopes, claims, idle, absolute, last_activity);
        record.epoch = self.lifecycle.enforcement.epoch(token);
        record
    }

    fn successors(&self, last_activity: Timestamp, app: Option<&AppClaims>) -> SuccessorPayloads {
        let (token, policy) = (self.token(), self.policy());
        let limits = Timeouts::effective(token.claims(), &policy);
        let seen = if self.is_activity { Seen::AtMint } else { Seen::Earlier(last_activity) };
        let access = rules::successor_times(token.claims(), &policy, self.now);
        let exp = rules::refresh_exp(token.claims(), &policy);
        let refresh = rules::TokenTimes { exp, ..access };
        let id = new_id();
        SuccessorPayloads::new(
            successor_payload(token, access, seen, limits, app, &new_id()),
            successor_payload(token, refresh, seen, limits, app, &id),
            StoreKey::token(self.lifecycle.iss(), &id),
        )
    }

    /// Rejects, before the presented token is consumed, successors that nothing would take back.
    fn check_length(&self, successors: &SuccessorPayloads) -> Result<(), Rejection> {
        let SuccessorPayloads { access, refresh, .. } = successors;
        let (keys, any) = (self.lifecycle.verifier.keys(), self.lifecycle.limits.any);
        check_length(keys, access, Purpose::Access, any)
            .and_then(|()| check_length(keys, refresh, Purpose::Refresh, MAX_TOKEN))
            .map_err(|error| {
                tracing::warn!(error = &error as &dyn std::error::Error, "not refreshed");
                RejectionKind::StoreUnavailable.into()
            })
    }

    fn grant(&self, successors: &SuccessorPayloads) -> Result<Grant, Rejection> {
        let SuccessorPayloads { access, refresh, .. } = successors;
        let policy = self.policy();
        let verifier = &self.lifecycle.verifier;
        Grant::sign(verifier, access, Some(refresh), &policy, self.now).map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the signing key failed");
            RejectionKind::StoreUnavailable.into()
        })
    }
}

fn invalid() -> Rejection {
    RejectionKind::InvalidRefreshToken.into()
}
