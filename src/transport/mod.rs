//! Where a token is read from, and where its successor is written to.

mod cookie;
mod header_occurrence;
mod set_cookie;
mod token_delivery;

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE},
};

pub(crate) use self::header_occurrence::HeaderOccurrence;
pub use self::{
    cookie::{CookieError, SessionCookie},
    set_cookie::SetCookie,
    token_delivery::TokenDelivery,
};

/// The response header that carries a renewed token, unless another one is set.
pub const RENEWED_TOKEN: HeaderName = HeaderName::from_static("x-refreshed-token");

/// A place that a request carries its token in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// `Authorization: Bearer <token>` (RFC 6750 section 2.1); gRPC metadata `authorization` is
    /// the same header.
    Bearer,
    /// A cookie.
    Cookie(SessionCookie),
    /// A header of its own whose whole value is the token.
    Header(HeaderName),
}

/// How a token came in, and so how its successor goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenOrigin {
    /// In a request header; the successor goes into a response header.
    Header,
    /// In a cookie; the successor goes into that cookie and into no header.
    Cookie,
}

/// What a request presents.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    Nothing,
    /// More than one token, or what can be none.
    Unreadable,
    Token(&'a [u8], TokenOrigin),
}

/// The first of `transports` that presents something decides; `authorization` is what `headers`
/// have of that name.
#[inline]
pub(crate) fn read<'a>(
    transports: &[Transport],
    authorization: HeaderOccurrence<'a>,
    headers: &'a HeaderMap,
) -> Presented<'a> {
    for transport in transports {
        let presented = match transport {
            Transport::Bearer => bearer(authorization),
            Transport::Cookie(cookie) => match cookie.find(headers) {
                Ok(None) => Presented::Nothing,
                Ok(Some(token)) if !token.is_empty() => {
                    Presented::Token(token, TokenOrigin::Cookie)
                }
                _ => Presented::Unreadable,
            },
            Transport::Header(name) => match HeaderOccurrence::from_headers(headers, name) {
                HeaderOccurrence::Absent => Presented::Nothing,
                HeaderOccurrence::Once(value) => token(value.as_bytes()),
                HeaderOccurrence::Repeated => Presented::Unreadable,
            },
        };
        if !matches!(presented, Presented::Nothing) {
            return presented;
        }
    }
    Presented::Nothing
}

/// Marks the headers that `transports` read tokens from as sensitive: their `Debug` hides them.
#[inline]
pub(crate) fn mark_sensitive(transports: &[Transport], headers: &mut HeaderMap) {
    for transport in transports {
        match transport {
            Transport::Bearer => mark(headers, |name| *name == AUTHORIZATION),
            Transport::Cookie(_) => mark(headers, |name| *name == COOKIE),
            Transport::Header(origin) => mark(headers, |name| name == origin),
        }
    }
}

#[inline(always)]
fn mark(headers: &mut HeaderMap, carries: impl Fn(&HeaderName) -> bool) {
    headers.iter_mut().filter(|(name, _)| carries(name)).for_each(|(_, value)| {
        value.set_sensitive(true);
    });
}

/// The authentication scheme, in any case (RFC 9110 section 11.1).
const SCHEME: &[u8] = b"bearer";

#[inline]
fn bearer(authorization: HeaderOccurrence<'_>) -> Presented<'_> {
    let value = match authorization {
        HeaderOccurrence::Once(value) => value.as_bytes(),
        HeaderOccurrence::Absent => return Presented::Nothing,
        HeaderOccurrence::Repeated => return Presented::Unreadable,
    };
    match value.split_at_checked(SCHEME.len()) {
        // Nearly everyone spells it so.
        Some((scheme, rest)) if scheme == b"Bearer" || scheme.eq_ignore_ascii_case(SCHEME) => {
            match rest {
                [] => Presented::Unreadable,
                [b' ', rest @ ..] => token(rest.trim_ascii()),
                _ => Presented::Nothing,
            }
        }
        _ => Presented::Nothing,
    }
}

#[inline]
fn token(presented: &[u8]) -> Presented<'_> {
    if presented.is_empty() {
        Presented::Unreadable
    } else {
        Presented::Token(presented, TokenOrigin::Header)
    }
}

#[cfg(test)]
mod tests;
