//! Tickets: one request of a client that can send no header.

use std::{
    error::Error,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use http::{Method, uri::PathAndQuery};
use serde::Serialize;

use super::Lifecycle;
use crate::{
    identity::StoreKey,
    rejection::Rejection,
    session::Session,
    store::OpenTicket,
    token::{
        KeyError, Purpose, TokenTooLong, can_have_ticket, check_length, mint, new_id,
        ticket_payload,
    },
    transport::MAX_TOKEN,
};

/// How long a ticket is good.
const LIFE: Duration = Duration::from_secs(30);

/// A ticket for one request, which the client appends to its URI as the query parameter `ticket`.
///
/// Serializes as `{"ticket", "expires_in"}`, in whole seconds, rounded down. With feature `axum` it is a
/// response that no cache may store. `Debug` hides the ticket.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Ticket {
    ticket: String,
    #[serde(serialize_with = "as_secs")]
    expires_in: Duration,
}

impl Ticket {
    /// The ticket. It contains no character that a URI escapes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.ticket
    }

    /// The time until it expires: 30 s, or less where the access token expires before.
    #[must_use]
    pub const fn expires_in(&self) -> Duration {
        self.expires_in
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

fn as_secs<S>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error>
where
    S: serde::Serializer,
{
    serializer.serialize_u64(duration.as_secs())
}

/// Why no ticket was issued.
///
/// With feature `axum` it is a response: 503 for [`Unavailable`](Self::Unavailable), 422 for
/// [`Path`](Self::Path), 403 for [`OtherIssuer`](Self::OtherIssuer), 500 for the others.
#[derive(Debug)]
#[non_exhaustive]
pub enum TicketError {
    /// The stack accepts no tickets: call `tickets` on its builder.
    NotAccepted,
    /// The path does not begin with `/`, contains a query or a character that no path has, or is missing.
    Path,
    /// The token of the session is that of another issuer, or the app has built the session: a ticket
    /// would be signed with our key.
    OtherIssuer,
    /// The ticket would be longer than 8 KiB.
    TooLong(TokenTooLong),
    /// The signing key failed.
    Key(KeyError),
    /// The store did not answer.
    Unavailable(Rejection),
}

impl fmt::Display for TicketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAccepted => "tickets are not accepted: call `tickets` on the builder",
            Self::Path => "the path of a ticket begins with `/` and has no query",
            Self::OtherIssuer => "the token of the session was not issued by this service",
            Self::TooLong(_) => "the ticket would be too long",
            Self::Key(_) => "the ticket could not be signed",
            Self::Unavailable(_) => "the session store did not answer",
        })
    }
}

impl Error for TicketError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotAccepted | Self::Path | Self::OtherIssuer => None,
            Self::TooLong(error) => Some(error),
            Self::Key(error) => Some(error),
            Self::Unavailable(rejection) => Some(rejection),
        }
    }
}

/// The issue of a ticket. Await it for the [`Ticket`].
#[must_use = "a ticket is issued when this is awaited"]
pub struct IssueTicket<'a> {
    lifecycle: &'a Lifecycle,
    session: &'a Session,
    is_accepted: bool,
    method: Method,
    path: String,
}

impl<'a> IssueTicket<'a> {
    pub(crate) const fn new(
        lifecycle: &'a Lifecycle,
        session: &'a Session,
        is_accepted: bool,
    ) -> Self {
        Self { lifecycle, session, is_accepted, method: Method::GET, path: String::new() }
    }

    /// Sets the path of the request, as the layer sees it: what it differs from by an escape or a slash
    /// is another path. The query of the request may be any. Required.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the method of the request. `GET` by default, which does not cover `HEAD`.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    async fn run(self) -> Result<Ticket, TicketError> {
        let Self { lifecycle, session, is_accepted, method, path } = self;
        if !is_accepted {
            return Err(TicketError::NotAccepted);
        }
        if !is_path(&path) {
            return Err(TicketError::Path);
        }
        let token = session.token();
        if !can_have_ticket(token) {
            return Err(TicketError::OtherIssuer);
        }
        let keys = lifecycle.verifier.keys();
        let (now, id) = (lifecycle.now(), new_id());
        let until = (now + LIFE).min(token.claims().exp);
        let payload = ticket_payload(token, &id, until, &method, &path);
        check_length(keys, &payload, Purpose::Ticket, MAX_TOKEN).map_err(TicketError::TooLong)?;
        let ticket = mint(keys, &payload, Purpose::Ticket).map_err(TicketError::Key)?;
        let key = StoreKey::ticket(token.claims().iss.as_deref(), &id);
        let open = OpenTicket::new(key, token.session_key(), token.user_key(), now, until);
        let store = lifecycle.lifecycle_store().map_err(TicketError::Unavailable)?;
        lifecycle.answer(store.open_ticket(open)).await.map_err(TicketError::Unavailable)?;
        Ok(Ticket { ticket, expires_in: until.since(now) })
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && PathAndQuery::try_from(path).is_ok_and(|parsed| parsed.as_str() == parsed.path())
        && !path.contains('#')
}

impl<'a> IntoFuture for IssueTicket<'a> {
    type Output = Result<Ticket, TicketError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for IssueTicket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssueTicket")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
