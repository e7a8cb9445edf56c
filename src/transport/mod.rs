//! Where a token is read from, and where its successor is written to.

mod cookie;
mod delivery;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE, Entry},
};

pub use self::{
    cookie::{CookieError, SessionCookie},
    delivery::Delivery,
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
pub enum Carrier {
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
    Token(&'a [u8], Carrier),
}

/// The first of `transports` that presents something decides.
pub(crate) fn read<'a>(transports: &[Transport], headers: &'a HeaderMap) -> Presented<'a> {
    transports
        .iter()
        .map(|transport| transport.read(headers))
        .find(|presented| *presented != Presented::Nothing)
        .unwrap_or(Presented::Nothing)
}

/// Marks the headers that `transports` read tokens from as sensitive: their `Debug` hides them.
pub(crate) fn mark_sensitive(transports: &[Transport], headers: &mut HeaderMap) {
    for transport in transports {
        let name = match transport {
            Transport::Bearer => &AUTHORIZATION,
            Transport::Cookie(_) => &COOKIE,
            Transport::Header(name) => name,
        };
        let Some(first) = headers.get_mut(name) else { continue };
        first.set_sensitive(true);
        let some_name_stands_twice = headers.len() > headers.keys_len();
        if some_name_stands_twice && let Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}

impl Transport {
    fn read<'a>(&self, headers: &'a HeaderMap) -> Presented<'a> {
        match self {
            Self::Bearer => bearer(headers),
            Self::Cookie(cookie) => match cookie.find(headers) {
                Ok(None) => Presented::Nothing,
                Ok(Some(token)) if !token.is_empty() => Presented::Token(token, Carrier::Cookie),
                _ => Presented::Unreadable,
            },
            Self::Header(name) => match sole(headers, name) {
                Ok(None) => Presented::Nothing,
                Ok(Some(value)) => token(value.as_bytes()),
                Err(()) => Presented::Unreadable,
            },
        }
    }
}

/// The authentication scheme, in any case (RFC 9110 section 11.1).
const SCHEME: &[u8] = b"bearer";

fn bearer(headers: &HeaderMap) -> Presented<'_> {
    let value = match sole(headers, &AUTHORIZATION) {
        Ok(Some(value)) => value.as_bytes(),
        Ok(None) => return Presented::Nothing,
        Err(()) => return Presented::Unreadable,
    };
    match value.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => match rest {
            [] => Presented::Unreadable,
            [b' ', rest @ ..] => token(rest.trim_ascii()),
            _ => Presented::Nothing,
        },
        _ => Presented::Nothing,
    }
}

fn token(presented: &[u8]) -> Presented<'_> {
    if presented.is_empty() {
        Presented::Unreadable
    } else {
        Presented::Token(presented, Carrier::Header)
    }
}

/// The one value of a header; an error if it stands twice.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests;
