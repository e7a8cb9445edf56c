//! A request with a ticket (P38).

use std::sync::Arc;

use http::Request;

use super::{
    dismissal::{Awaited, Dismissal, ExpiredToken, Refusal, reject_unverified},
    settings::AuthenticateSettings,
};
use crate::{
    identity::StoreKey,
    maybe_ready::{REQUEST_TIME_LIMIT, StoreError, Timed},
    rejection::{InvalidTokenReason, Rejection, RejectionKind},
    request_class::{RequestClass, RequestHead},
    session::{Session, SessionCheck, StoreAnswer},
    store::{LifecycleStore, TicketUse},
    transport::TokenOrigin,
};

impl AuthenticateSettings {
    /// The session of a request that presents a ticket. No other transport is asked: a refused ticket is
    /// refused, whatever cookie the browser has added.
    #[cold]
    pub(super) fn authenticate_by_ticket(
        &self,
        head: RequestHead<'_>,
        ticket: Result<&str, InvalidTokenReason>,
        store: &dyn LifecycleStore,
    ) -> Result<Session, Refusal> {
        let now = self.enforcement.clock.now();
        let ticket = ticket.and_then(|ticket| {
            let verified = self.verifier.verify_ticket(ticket.as_bytes());
            verified.map_err(|invalid| invalid.reason())
        });
        let ticket = ticket.map_err(refuse)?;
        if ticket.has_expired(now) {
            return Err(refuse(InvalidTokenReason::TicketUsed));
        }
        if !ticket.is_for(head.method(), head.path()) {
            return Err(refuse(InvalidTokenReason::TicketForOtherRequest));
        }
        let token = ticket.token;
        let check = SessionCheck::new(&token, StoreAnswer::NotAsked, now);
        if let Err(rejected) = self.enforcement.enforce(&check) {
            if rejected.rejection.kind().is_expiry() {
                return Err(self.ask(ExpiredToken::new(token, TokenOrigin::NoSuccessor, now)));
            }
            rejected.record(&token, now, self.enforcement.audit_queue.as_ref());
            return Err(Refusal::Rejected(rejected.rejection));
        }
        let key = StoreKey::ticket(token.claims().iss.as_deref(), &ticket.id);
        let used = TicketUse::new(key, token.user_key(), now);
        let enforcement = Some(Arc::clone(&self.enforcement));
        let session = Session::new(token, TokenOrigin::NoSuccessor, enforcement, false);
        session.set_now(now);
        session.set_class(RequestClass::Background);
        match store.use_ticket(used).try_ready() {
            Ok(was_open) => admitted(was_open).map(|()| session).map_err(reject_unverified),
            Err(pending) => {
                let pending = Timed::new(pending, &*self.enforcement.clock, REQUEST_TIME_LIMIT);
                Err(Refusal::Waiting(Awaited::Ticket(pending, session)))
            }
        }
    }

    /// Admits a request whose ticket the store has closed.
    pub(super) fn admit_with_ticket<ReqBody, ResBody>(
        self: &Arc<Self>,
        was_open: Result<bool, StoreError>,
        session: Session,
        request: &Request<ReqBody>,
    ) -> Result<Option<Session>, Dismissal<ResBody>> {
        match admitted(was_open) {
            Ok(()) => Ok(Some(session)),
            Err(rejection) => {
                let refusal = reject_unverified(rejection);
                Err(self.dismiss(refusal, RequestHead::new(request)))
            }
        }
    }
}

fn refuse(reason: InvalidTokenReason) -> Refusal {
    reject_unverified(Rejection::invalid_token(reason))
}

/// Whether the ticket was open. An outage is a 503: the ticket may be used up, and the session goes on.
fn admitted(was_open: Result<bool, StoreError>) -> Result<(), Rejection> {
    match was_open {
        Ok(true) => Ok(()),
        Ok(false) => Err(Rejection::invalid_token(InvalidTokenReason::TicketUsed)),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the store did not say whether a ticket was used before");
            Err(RejectionKind::StoreUnavailable.into())
        }
    }
}
