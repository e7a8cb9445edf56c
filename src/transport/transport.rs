//! The trait of a transport, and what it reads.

use std::fmt;

use http::{HeaderMap, HeaderName};

use super::{cookie::SessionCookie, several_tokens::SeveralTokens};
use crate::{rejection::InvalidTokenReason, request_class::RequestHead};

/// The longest token that is verified, in bytes. No longer one is minted.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// Reads the access token of a request.
///
/// [`Bearer`](super::Bearer), [`SessionCookie`](super::SessionCookie),
/// [`HeaderToken`](super::HeaderToken) and [`websocket_protocol`](super::websocket_protocol) are
/// ready-made implementations.
///
/// ```
/// use http::{HeaderMap, HeaderName};
/// use tower_sliding_session::{
///     rejection::InvalidTokenReason,
///     request_class::{HeaderOccurrence, RequestHead},
///     transport::{PresentedToken, Transport, mark_sensitive},
/// };
///
/// /// `X-Gateway-Authorization: Token <token>`.
/// #[derive(Debug)]
/// struct Gateway;
///
/// const NAME: HeaderName = HeaderName::from_static("x-gateway-authorization");
///
/// impl Transport for Gateway {
///     fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
///         match head.header(&NAME) {
///             HeaderOccurrence::Absent => PresentedToken::None,
///             HeaderOccurrence::Repeated => {
///                 PresentedToken::Unreadable(InvalidTokenReason::SeveralTokens)
///             }
///             HeaderOccurrence::Once(value) => match value.as_bytes().strip_prefix(b"Token ") {
///                 Some(token) => PresentedToken::from_bytes(token),
///                 None => PresentedToken::None,
///             },
///         }
///     }
///
///     fn mark_sensitive(&self, headers: &mut HeaderMap) {
///         mark_sensitive(headers, &NAME);
///     }
///
///     fn request_header(&self) -> Option<HeaderName> {
///         Some(NAME)
///     }
/// }
///
/// let request = http::Request::get("/").header(NAME, "Token a.b.c").body(())?;
/// assert_eq!(Gateway.read(RequestHead::new(&request)), PresentedToken::One(b"a.b.c"));
/// # Ok::<(), http::Error>(())
/// ```
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Reads the token from the head of a request. Runs on every request that is not `Public`: it
    /// should neither allocate nor log.
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a>;

    /// Marks the header that carries the token as sensitive, so that the `Debug` of a layer further
    /// in does not show it. Runs on every authenticated request.
    fn mark_sensitive(&self, headers: &mut HeaderMap);

    /// What the token came in, which decides how its successor goes out. By default a header.
    fn origin(&self) -> TokenOrigin {
        TokenOrigin::Header
    }

    /// The request header that scripts put the token in, which CORS must allow. By default none, as for
    /// what a browser sends by itself.
    fn request_header(&self) -> Option<HeaderName> {
        None
    }

    /// The session cookie, if the token came in it: a sign-out clears it, and so does the rejection of
    /// a top-level navigation whose session has ended. By default none.
    fn cookie(&self) -> Option<&SessionCookie> {
        None
    }
}

/// What a transport finds in the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PresentedToken<'a> {
    /// No token: the next transport is asked.
    None,
    /// One token, not verified yet.
    One(&'a [u8]),
    /// One token in base64url, not decoded yet.
    Base64Url(&'a [u8]),
    /// Several, in cookies of one name: those that do not verify are skipped.
    Several(SeveralTokens<'a>),
    /// Something that cannot be one token: the request is rejected with `invalid_token`.
    Unreadable(InvalidTokenReason),
}

impl<'a> PresentedToken<'a> {
    /// One token of these bytes; unreadable if they are empty.
    #[must_use]
    #[inline]
    pub const fn from_bytes(token: &'a [u8]) -> Self {
        if token.is_empty() {
            Self::Unreadable(InvalidTokenReason::NoToken)
        } else {
            Self::One(token)
        }
    }
}

/// What a token came in. Its successor goes out in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenOrigin {
    /// A request header. The successor goes out in a response header.
    Header,
    /// A cookie. The successor goes out in the same cookie and never in a header.
    Cookie,
    /// Something whose response the client cannot read a token from, such as a WebSocket handshake: no
    /// successor goes out.
    NoSuccessor,
}

/// Marks every value of `name` in `headers` as sensitive: their `Debug` does not show them, and
/// HTTP/2 does not index them (RFC 7541 section 7.1.3).
pub fn mark_sensitive(headers: &mut HeaderMap, name: &HeaderName) {
    mark_sensitive_if(headers, |other| other == name);
}

/// Marks the values of every name that `carries_token` accepts as sensitive.
#[inline]
pub(super) fn mark_sensitive_if(
    headers: &mut HeaderMap,
    carries_token: impl Fn(&HeaderName) -> bool,
) {
    // A pass over the names is faster than a look-up, which hashes the name.
    headers.iter_mut().filter(|(name, _)| carries_token(name)).for_each(|(_, value)| {
        value.set_sensitive(true);
    });
}
