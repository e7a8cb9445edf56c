//! One renewal, from its grant to the token.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::Settings;
use crate::{
    lifecycle::AuditEvent,
    rules::{self, Limits, Policy, Standing, Successor, Timestamp},
    session::Session,
    store::{Admission, Peeked, REQUEST_TIME_LIMIT, RenewalAsk, RenewalGate, within},
    token::{AppClaims, ClaimsUpdate, ID_LENGTH, Purpose, Seen, mint, successor, write_new_id},
};

/// How long a failed mint keeps its gates closed, at most.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// A renewal that is due.
pub(crate) struct Errand {
    pub(super) session: Session,
    pub(super) settings: Arc<Settings>,
    pub(super) now: Timestamp,
    pub(super) times: Successor,
    pub(super) seen: Seen,
    /// Claims that the handler has set: they are minted at once.
    pub(super) replaced: Option<AppClaims>,
}

/// A successor, and for how long it lives.
pub(crate) struct Minted {
    pub(super) token: String,
    pub(super) life: Duration,
}

impl Errand {
    /// The token; `None` where the gate, the claims source or the session's end forbid one, or
    /// where something fails. Nothing that goes wrong here fails the request.
    pub(super) async fn run(self) -> Option<Minted> {
        if let Some(app) = &self.replaced {
            return if self.is_alive().await { self.mint(Some(app)) } else { None };
        }
        let grant = self.grant().await?;
        let minted = match self.current_claims().await {
            Some(app) if self.is_alive().await => self.mint(app.as_ref()),
            _ => None,
        };
        grant.settle(minted.is_some());
        minted
    }

    fn policy(&self) -> Cow<'_, Policy> {
        self.session.policy(&self.settings.profiles)
    }

    /// Both gates, closed by this renewal.
    async fn grant(&self) -> Option<Grant> {
        let min_interval = self.policy().renew_min_interval();
        let Some(ask) = self.ask(min_interval) else { return Some(Grant::ungated()) };
        let gate = &self.settings.gate;
        let clock = &*self.settings.clock;
        // Held while it is being asked for: a request that is cancelled meanwhile gives it back.
        let grant = Grant::of(gate, ask);
        match within(gate.admit(ask), clock, REQUEST_TIME_LIMIT).await {
            Ok(Admission::Granted) => Some(grant),
            Ok(Admission::Denied) => {
                grant.forget();
                None
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no renewal was granted");
                None
            }
        }
    }

    fn ask(&self, min_interval: Duration) -> Option<RenewalAsk> {
        if min_interval.is_zero() {
            return None;
        }
        let token = self.session.token();
        let waived = rules::waives_rate(token.claims(), &self.policy(), self.now);
        Some(RenewalAsk {
            session: token.session_key(),
            user: (!waived).then(|| token.user_key()),
            now: self.now,
            min_interval,
        })
    }

    /// What becomes of the app's claims: `None` where there is to be no renewal.
    async fn current_claims(&self) -> Option<Option<AppClaims>> {
        let Some(source) = &self.settings.claims else { return Some(None) };
        let clock = &*self.settings.clock;
        let answer = source.current_claims(self.session.token());
        match within(answer, clock, REQUEST_TIME_LIMIT).await {
            Ok(ClaimsUpdate::Keep) => Some(None),
            Ok(ClaimsUpdate::Replace(claims)) => Some(Some(claims.0)),
            Ok(ClaimsUpdate::Deny) => {
                self.settings.note(&AuditEvent::RenewalDenied, &self.session);
                None
            }
            Ok(ClaimsUpdate::End) => {
                self.settings.note(&AuditEvent::RenewalDenied, &self.session);
                // The failure is logged where it happens; the token ends by itself.
                if self.session.end().await.is_ok() {
                    self.settings.note(&AuditEvent::SessionEnded, &self.session);
                }
                None
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "claims not at hand");
                None
            }
        }
    }

    /// Whether the session lives still: the handler took its time, and others were busy too.
    async fn is_alive(&self) -> bool {
        if !self.session.may_renew() {
            return false;
        }
        let clock = &*self.settings.clock;
        let token = self.session.token();
        let claims = token.claims();
        let (now, last_activity) = match self.session.store() {
            // Without a store nobody knows the last activity, and the idle timeout is not judged.
            None => (clock.now(), None),
            Some(store) => {
                let peeked = store.peek(token.session_key());
                let stored = match within(peeked, clock, REQUEST_TIME_LIMIT).await {
                    Ok(Peeked::LastSeen(at)) => Some(at),
                    Ok(Peeked::Unknown) => None,
                    Ok(Peeked::Ended) | Err(_) => return false,
                };
                if self.session.is_revoked() {
                    return false;
                }
                let now = clock.now();
                let known = rules::last_activity(claims, stored, now);
                (now, Some(known.max(self.session.last_activity())))
            }
        };
        matches!(rules::standing(claims, last_activity, &self.policy(), now), Standing::Live { .. })
    }

    fn mint(&self, app: Option<&AppClaims>) -> Option<Minted> {
        let token = self.session.token();
        let limits = Limits::of(token.claims(), &self.policy());
        let mut id = [0; ID_LENGTH];
        let id = write_new_id(&mut id);
        let payload = successor(token, self.times, self.seen, limits, app, id);
        match mint(&self.settings.keys, &payload, Purpose::Access) {
            Ok(token) => {
                self.settings.note(&AuditEvent::SessionRenewed, &self.session);
                Some(Minted { token, life: self.times.exp.since(self.now) })
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no token was signed");
                None
            }
        }
    }
}

/// The gates that a renewal has closed; dropped unsettled (the request was cancelled) it opens
/// them again at once.
struct Grant {
    held: Option<(Arc<dyn RenewalGate>, RenewalAsk)>,
}

impl Grant {
    const fn ungated() -> Self {
        Self { held: None }
    }

    fn of(gate: &Arc<dyn RenewalGate>, ask: RenewalAsk) -> Self {
        Self { held: Some((Arc::clone(gate), ask)) }
    }

    /// Nothing was granted: the gates are another renewal's.
    fn forget(mut self) {
        self.held = None;
    }

    /// A mint keeps its gates closed; a failure opens them soon.
    fn settle(mut self, minted: bool) {
        if let Some((gate, ask)) = self.held.take()
            && !minted
        {
            gate.release(ask, ask.now + ask.min_interval.min(AFTER_A_FAILURE)).detach();
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some((gate, ask)) = self.held.take() {
            gate.release(ask, ask.now).detach();
        }
    }
}
