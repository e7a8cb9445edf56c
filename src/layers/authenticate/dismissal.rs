//! What a request receives that is not admitted, and what it waits for.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};

use super::settings::AuthenticateSettings;
use crate::{
    body::SessionBody,
    maybe_ready::Timed,
    rejection::Rejection,
    request_class::RequestHead,
    session::{Session, trace_rejection},
    store::StoredSession,
    time::Timestamp,
    token::VerifiedToken,
    transport::TokenOrigin,
};

/// What a request receives that is not admitted. Rare: the boxes keep every other request small.
pub(crate) enum Dismissal<B> {
    Response(Box<Response<SessionBody<B>>>),
    /// The token has expired, and the store is asked whether the session ended earlier.
    Asking(Box<Asking>),
    /// It waits for the keys of the token's issuer, or for its ticket.
    Waiting(Box<Awaited>),
}

/// What a request waits for.
pub(crate) enum Awaited {
    /// The keys of its token's issuer.
    Keys(Timed<()>),
    /// Whether its ticket was open.
    Ticket(Timed<bool>, Session),
}

/// Why a request is not admitted.
pub(super) enum Refusal {
    Rejected(Rejection),
    /// The session of an authentic token has expired.
    Expired(Rejection, ExpiredToken),
    Asking(ExpiredToken, Timed<StoredSession>),
    Waiting(Awaited),
    /// It is admitted without this token: a refused cookie where no token is required (P34).
    Ignored,
}

/// A token whose own deadlines have passed.
pub(super) struct ExpiredToken {
    pub(super) token: Arc<VerifiedToken>,
    pub(super) origin: TokenOrigin,
    pub(super) now: Timestamp,
}

impl ExpiredToken {
    pub(super) const fn new(
        token: Arc<VerifiedToken>,
        origin: TokenOrigin,
        now: Timestamp,
    ) -> Self {
        Self { token, origin, now }
    }
}

/// A store that is asked about the session of an expired token.
pub(crate) struct Asking {
    pub(super) expired: ExpiredToken,
    pub(super) answer: Timed<StoredSession>,
    /// The head of the request, which the response depends on.
    pub(super) head: Request<()>,
    pub(super) settings: Arc<AuthenticateSettings>,
}

impl Asking {
    pub(super) fn poll_response<B>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Response<SessionBody<B>>> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let rejection = self.settings.reject_expired(&self.expired, answer.into());
        let head = RequestHead::new(&self.head);
        Poll::Ready(self.settings.respond_expired(rejection, &self.expired, head))
    }
}

/// What nobody has signed is no audit event: whoever sends it must not fill the log.
pub(super) fn reject_unverified(rejection: Rejection) -> Refusal {
    trace_rejection(&rejection);
    Refusal::Rejected(rejection)
}
