//! A header whose value is the token.

use http::{HeaderMap, HeaderName};

use super::{
    bearer::after_scheme,
    transport::{PresentedToken, Transport, mark_sensitive},
};
use crate::{
    rejection::InvalidTokenReason,
    request_class::{HeaderOccurrence, RequestHead},
};

/// A request header whose value is the token, with or without `Bearer ` before it. An empty value and
/// a repeated header are `invalid_token`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderToken {
    name: HeaderName,
}

impl HeaderToken {
    /// Reads tokens from the header `name`.
    #[must_use]
    pub const fn new(name: HeaderName) -> Self {
        Self { name }
    }
}

impl Transport for HeaderToken {
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
        match head.header(&self.name) {
            HeaderOccurrence::Absent => PresentedToken::None,
            HeaderOccurrence::Once(value) => {
                let value = value.as_bytes();
                PresentedToken::from_bytes(after_scheme(value).unwrap_or(value))
            }
            HeaderOccurrence::Repeated => {
                PresentedToken::Unreadable(InvalidTokenReason::SeveralTokens)
            }
        }
    }

    fn mark_sensitive(&self, headers: &mut HeaderMap) {
        mark_sensitive(headers, &self.name);
    }

    fn request_header(&self) -> Option<HeaderName> {
        Some(self.name.clone())
    }
}
