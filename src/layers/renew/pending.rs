//! One renewal, from the limiter to the minted token.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{permit::Permit, settings::RenewSettings};
use crate::{
    audit::AuditEvent,
    metrics,
    policy::Policy,
    rejection::RejectionKind,
    rules::{self, SessionStatus, Timeouts, TokenTimes},
    session::{Enforcement, Session, SessionCheck, SharedSuccessor, StoreAnswer},
    store::{RenewalDecision, RenewalLimiter, RenewalRequest},
    time::Timestamp,
    token::{
        AppClaims, CurrentClaims, GrantedClaims, ID_LENGTH, Purpose, Seen, Succession,
        ask_claims_source, check_length, mint, successor_payload, write_new_id,
    },
};

/// A renewal that is due.
pub(crate) struct PendingRenewal {
    pub(super) session: Session,
    pub(super) settings: Arc<RenewSettings>,
    pub(super) now: Timestamp,
    pub(super) times: TokenTimes,
    pub(super) seen: Seen,
    pub(super) reason: RenewalReason,
}

/// Why a token is renewed.
pub(super) enum RenewalReason {
    /// Little of its lifetime is left.
    Due,
    /// The handler set these claims. The limiter does not apply to them.
    Replaced(AppClaims),
    /// The session has other claims than the presented token: those were stale. The limiter does not
    /// apply to them.
    StaleClaims,
}

/// A limiter did not decide: it is full, failed or took too long.
struct NoAnswer;

/// A successor, and the time until it expires.
pub(crate) struct Minted {
    pub(super) token: String,
    pub(super) life: Duration,
}

impl PendingRenewal {
    /// Mints the successor. `None` if the limiter or the claims source denies it, if the session
    /// has ended, or if anything fails: no failure here changes the response.
    pub(super) async fn mint(self) -> Option<Minted> {
        let app = match &self.reason {
            RenewalReason::Due => return self.mint_with_permit().await,
            RenewalReason::Replaced(app) => Some(app),
            RenewalReason::StaleClaims => None,
        };
        let claims =
            GrantedClaims { app: app.cloned(), ..GrantedClaims::from_token(self.session.token()) };
        if !self.may_mint().await {
            return None;
        }
        match (&self.reason, self.session.shared_successor()) {
            (RenewalReason::StaleClaims, Some(shared)) => self.sign_shared(&claims, shared),
            _ => self.sign(&claims),
        }
    }

    /// Signs the successor that parallel responses carry: one mint after a change of claims (P6).
    fn sign_shared(&self, claims: &GrantedClaims, shared: &SharedSuccessor) -> Option<Minted> {
        let token = self.session.token();
        let (policy, clock) = (self.policy(), &*self.settings.clock);
        let interval = rules::single_flight_interval(token.claims(), &policy, self.now);
        let own = (self.times, self.seen);
        let (successor, is_new) = shared.get_or_mint(token.claims(), own, interval, clock);
        self.sign_as(claims, (successor.times, successor.seen), &successor.id, is_new)
    }

    async fn mint_with_permit(&self) -> Option<Minted> {
        let permit = self.acquire().await?;
        let minted = match self.current_claims().await {
            Some(claims) if self.may_mint().await => self.sign(&claims),
            _ => None,
        };
        permit.settle(minted.is_some());
        minted
    }

    fn policy(&self) -> Cow<'_, Policy> {
        self.session.policy(&self.settings.profiles)
    }

    /// Acquires the limiter for the session and the user. While it is full or fails, the node limits
    /// the session by itself; without room there, nothing is limited once the renewal is overdue.
    async fn acquire(&self) -> Option<Permit> {
        let Some(request) = self.request() else { return Some(Permit::unlimited()) };
        let RenewSettings { limiter, node_limiter, .. } = &*self.settings;
        let mut asked = self.ask(limiter, request).await;
        if asked.is_err() {
            asked = self.ask(node_limiter, RenewalRequest { limits_user: false, ..request }).await;
        }
        asked.unwrap_or_else(|NoAnswer| {
            let claims = self.session.session_claims();
            let is_overdue = rules::is_renewal_overdue(claims, &self.policy(), self.now);
            if !is_overdue {
                metrics::count_renewal("failed");
            }
            is_overdue.then(Permit::unlimited)
        })
    }

    /// Asks `limiter` for a permit; `None` if it denies it.
    async fn ask(
        &self,
        limiter: &Arc<dyn RenewalLimiter>,
        request: RenewalRequest,
    ) -> Result<Option<Permit>, NoAnswer> {
        // Held while the limiter is asked: a request that is cancelled meanwhile releases it.
        let permit = Permit::new(limiter, request);
        let clock = &*self.settings.clock;
        match self.session.wait(limiter.acquire(request), clock).await {
            Ok(RenewalDecision::Granted) => Ok(Some(permit)),
            Ok(RenewalDecision::Denied) => {
                metrics::count_renewal("limited");
                tracing::debug!("not renewed: the limiter denied it");
                permit.forget();
                Ok(None)
            }
            Ok(RenewalDecision::Full) => {
                tracing::warn!("the renewal limiter is full");
                permit.forget();
                Err(NoAnswer)
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the renewal limiter failed"
                );
                Err(NoAnswer)
            }
        }
    }

    /// What the limiter is asked for; `None` if the policy sets no limit.
    fn request(&self) -> Option<RenewalRequest> {
        let policy = self.policy();
        let min_interval = policy.renew_min_interval();
        if min_interval.is_zero() {
            return None;
        }
        let token = self.session.token();
        let (session, user) = (token.session_key(), token.user_key());
        let mut request = RenewalRequest::new(session, user, self.now, min_interval);
        request.limits_user = !rules::waives_rate(token.claims(), &policy, self.now);
        request.session_interval = rules::single_flight_interval(token.claims(), &policy, self.now);
        Some(request)
    }

    /// The claims of the successor; `None` for no renewal.
    async fn current_claims(&self) -> Option<GrantedClaims> {
        let token = self.session.token();
        let Some(source) = &self.settings.claims else {
            return Some(GrantedClaims::from_token(token));
        };
        let changes = self.session.enforcement().and_then(|it| it.claims_changes.as_deref());
        let answer = ask_claims_source(&**source, token, changes, &*self.settings.clock).await;
        let Ok(answer) = answer else {
            metrics::count_renewal("failed");
            return None;
        };
        match answer {
            CurrentClaims::Granted(claims) => Some(claims),
            CurrentClaims::Denied => {
                metrics::count_renewal("denied");
                tracing::debug!("not renewed: the claims source denied it");
                self.settings.record(AuditEvent::RenewalDenied, &self.session);
                None
            }
            CurrentClaims::Ended => {
                metrics::count_renewal("ended");
                tracing::debug!("not renewed: the claims source ended the session");
                self.settings.record(AuditEvent::RenewalDenied, &self.session);
                // A failure is logged there, and the token expires in any case.
                let _ = self.session.sign_out().await;
                None
            }
        }
    }

    /// As [`is_active`](Self::is_active); counts a renewal that is not minted.
    async fn may_mint(&self) -> bool {
        let is_active = self.is_active().await;
        if !is_active {
            metrics::count_renewal("ended");
        }
        is_active
    }

    /// Whether the session is still active: the handler took its time, and the session may have
    /// been revoked meanwhile.
    async fn is_active(&self) -> bool {
        let session = &self.session;
        let Some(enforcement) = session.enforcement().filter(|_| session.may_renew()) else {
            return session.may_renew() && self.is_active_without_store();
        };
        let token = session.token();
        let answer = match enforcement.store() {
            None => StoreAnswer::NotAsked,
            Some(store) => {
                let answer = store.get(token.keys());
                session.wait(answer, &*self.settings.clock).await.into()
            }
        };
        let check = SessionCheck {
            known_activity: Some(session.last_activity()),
            ..SessionCheck::new(token, answer, self.settings.clock.now())
        };
        match enforcement.enforce(&check) {
            Ok(_) => self.is_recorded(enforcement).await,
            // The token expired while the handler ran; its session is active (P33).
            Err(rejected) if rejected.rejection.kind() == RejectionKind::TokenExpired => {
                self.is_recorded(enforcement).await
            }
            Err(rejected) => {
                let code = rejected.rejection.code();
                tracing::debug!(code, "not renewed: the session has ended");
                false
            }
        }
    }

    /// Waits for the record of an adopted session: its successor is a token as any other, and would
    /// not lead to one. Without a record it is minted only if the token is about to expire.
    async fn is_recorded(&self, enforcement: &Enforcement) -> bool {
        let Some(adoption) = enforcement.adopt(self.session.token(), self.now) else { return true };
        self.session.wait(adoption, &*self.settings.clock).await.is_ok()
            || rules::is_renewal_overdue(self.session.session_claims(), &self.policy(), self.now)
    }

    /// A session that no layer with a store has checked: the policies of this layer decide.
    fn is_active_without_store(&self) -> bool {
        let (claims, now) = (self.session.session_claims(), self.settings.clock.now());
        matches!(rules::status(claims, None, &self.policy(), now), SessionStatus::Active { .. })
    }

    fn sign(&self, claims: &GrantedClaims) -> Option<Minted> {
        let times = (self.times, self.seen);
        self.sign_as(claims, times, write_new_id(&mut [0; ID_LENGTH]), true)
    }

    /// `is_new`: no other response carries the successor `id` yet.
    fn sign_as(
        &self,
        claims: &GrantedClaims,
        (times, seen): (TokenTimes, Seen),
        id: &str,
        is_new: bool,
    ) -> Option<Minted> {
        let token = self.session.token();
        let limits = Timeouts::effective(token.claims(), &self.policy());
        let generation = token.claims().generation;
        let succession = Succession { times, seen, limits, claims, id, generation };
        let payload = successor_payload(token, succession);
        let longest = self.settings.delivery.longest_token(self.session.origin());
        if let Err(error) = check_length(&self.settings.keys, &payload, Purpose::Access, longest) {
            metrics::count_renewal("failed");
            tracing::warn!(error = &error as &dyn std::error::Error, "not renewed");
            return None;
        }
        match mint(&self.settings.keys, &payload, Purpose::Access) {
            Ok(token) => {
                metrics::count_renewal(if is_new { "renewed" } else { "shared" });
                tracing::debug!("token renewed");
                let activity = match seen {
                    Seen::AtMint => times.iat,
                    Seen::Earlier(at) => at,
                };
                self.session.keep_renewal(times, activity);
                if is_new {
                    self.session.announce_renewal(times, activity, &payload);
                    self.settings.record(AuditEvent::SessionRenewed, &self.session);
                }
                Some(Minted { token, life: times.exp.since(self.now) })
            }
            Err(error) => {
                metrics::count_renewal("failed");
                tracing::warn!(error = &error as &dyn std::error::Error, "the signing key failed");
                None
            }
        }
    }
}
