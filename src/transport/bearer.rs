//! The `Authorization` header.

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use super::transport::{PresentedToken, Transport, mark_sensitive_if};
use crate::{
    rejection::InvalidTokenReason,
    request_class::{HeaderOccurrence, RequestHead},
};

/// `Authorization: Bearer <token>` (RFC 6750 section 2.1). The gRPC metadata `authorization` is the
/// same header. The default transport.
///
/// A request with another scheme presents no token. `Bearer` with nothing after it and a repeated
/// header are `invalid_token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bearer;

impl Bearer {
    /// The transport.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// The scheme, in any case (RFC 9110 section 11.1).
const SCHEME: &[u8] = b"bearer";

/// The credentials after the scheme `Bearer`, empty if there are none; `None` if `value` has another
/// scheme.
#[inline]
pub(super) fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    match value.split_at_checked(SCHEME.len())? {
        // The usual spelling is compared first: it is cheaper.
        (scheme, rest) if scheme == b"Bearer" || scheme.eq_ignore_ascii_case(SCHEME) => {
            match rest {
                [] => Some(rest),
                [b' ', rest @ ..] => Some(rest.trim_ascii()),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Transport for Bearer {
    #[inline]
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
        let value = match head.authorization() {
            HeaderOccurrence::Once(value) => value.as_bytes(),
            HeaderOccurrence::Absent => return PresentedToken::None,
            HeaderOccurrence::Repeated => {
                return PresentedToken::Unreadable(InvalidTokenReason::SeveralTokens);
            }
        };
        after_scheme(value).map_or(PresentedToken::None, PresentedToken::from_bytes)
    }

    fn mark_sensitive(&self, headers: &mut HeaderMap) {
        // The comparison with a constant is a few instructions.
        mark_sensitive_if(headers, |name| *name == AUTHORIZATION);
    }

    fn request_header(&self) -> Option<HeaderName> {
        Some(AUTHORIZATION)
    }
}
