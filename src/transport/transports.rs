//! Several transports, asked in order.

use std::{any::Any, fmt, sync::Arc};

use http::{HeaderMap, HeaderName};

use super::{
    bearer::Bearer,
    cookie::SessionCookie,
    several_tokens::SeveralTokens,
    transport::{PresentedToken, TokenOrigin, Transport},
    websocket_protocol::WebSocketProtocol,
};
use crate::{rejection::InvalidTokenReason, request_class::RequestHead};

/// Transports in the order in which they are asked. The first one that finds something decides.
///
/// ```
/// use tower_sliding_session::{SessionCookie, transport::{Bearer, Transports}};
///
/// let transports = Transports::new().with(Bearer::new()).with(SessionCookie::new());
/// # drop(transports);
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Transports {
    list: Vec<Entry>,
    reads_websocket_protocol: bool,
}

/// A transport. The default one is called without dynamic dispatch.
#[derive(Clone)]
enum Entry {
    Bearer(Bearer),
    Other(Arc<dyn Transport>),
}

impl Entry {
    fn new(transport: impl Transport) -> Self {
        match (&transport as &dyn Any).downcast_ref() {
            Some(bearer) => Self::Bearer(*bearer),
            None => Self::Other(Arc::new(transport)),
        }
    }

    fn transport(&self) -> &dyn Transport {
        match self {
            Self::Bearer(bearer) => bearer,
            Self::Other(other) => &**other,
        }
    }
}

/// What the transports find in the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    None,
    One(&'a [u8], TokenOrigin),
    Base64Url(&'a [u8], TokenOrigin),
    Several(SeveralTokens<'a>, TokenOrigin),
    Unreadable(InvalidTokenReason, TokenOrigin),
}

impl Transports {
    /// No transport: no request presents a token.
    pub const fn new() -> Self {
        Self { list: Vec::new(), reads_websocket_protocol: false }
    }

    /// Adds a transport, which is asked after those added before.
    pub fn with(mut self, transport: impl Transport) -> Self {
        self.reads_websocket_protocol |= (&transport as &dyn Any).is::<WebSocketProtocol>();
        self.list.push(Entry::new(transport));
        self
    }

    /// Whether one of them is [`websocket_protocol`](super::websocket_protocol).
    #[inline]
    pub(crate) const fn reads_websocket_protocol(&self) -> bool {
        self.reads_websocket_protocol
    }

    /// Whether there is no transport.
    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The request headers that scripts put tokens in.
    pub(crate) fn request_headers(&self) -> impl Iterator<Item = HeaderName> {
        self.list.iter().filter_map(|entry| entry.transport().request_header())
    }

    /// How many transports there are with this origin.
    pub(crate) fn count(&self, origin: TokenOrigin) -> usize {
        self.list.iter().filter(|entry| entry.transport().origin() == origin).count()
    }

    /// Reads the token with the first transport that finds something, after `skipped` transports.
    #[inline]
    pub(crate) fn read<'a>(&self, head: RequestHead<'a>, skipped: usize) -> Presented<'a> {
        for entry in self.list.get(skipped..).unwrap_or_default() {
            let (found, origin) = match entry {
                Entry::Bearer(bearer) => (bearer.read(head), TokenOrigin::Header),
                Entry::Other(other) => (other.read(head), other.origin()),
            };
            match found {
                PresentedToken::None => {}
                PresentedToken::One(token) => return Presented::One(token, origin),
                PresentedToken::Base64Url(token) => return Presented::Base64Url(token, origin),
                PresentedToken::Several(tokens) => return Presented::Several(tokens, origin),
                PresentedToken::Unreadable(reason) => return Presented::Unreadable(reason, origin),
            }
        }
        Presented::None
    }

    /// The number of the first transport that finds something in `head`, after `skipped` transports.
    #[cold]
    pub(crate) fn finder(&self, head: RequestHead<'_>, skipped: usize) -> Option<usize> {
        let finds = |entry: &Entry| !matches!(entry.transport().read(head), PresentedToken::None);
        let found = self.list.iter().skip(skipped).position(finds);
        found.map(|after| skipped + after)
    }

    /// The session cookie, if one of the transports reads it.
    pub(crate) fn cookie(&self) -> Option<&SessionCookie> {
        self.list.iter().find_map(|entry| entry.transport().cookie())
    }

    /// Marks the headers that carry tokens as sensitive.
    #[inline]
    pub(crate) fn mark_sensitive(&self, headers: &mut HeaderMap) {
        for entry in &self.list {
            match entry {
                Entry::Bearer(bearer) => bearer.mark_sensitive(headers),
                Entry::Other(other) => other.mark_sensitive(headers),
            }
        }
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(Entry::transport)).finish()
    }
}

/// One transport.
impl<T> From<T> for Transports
where
    T: Transport,
{
    fn from(transport: T) -> Self {
        Self::new().with(transport)
    }
}
