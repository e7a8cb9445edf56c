//! A header field that may occur once.

use http::{HeaderMap, HeaderName, HeaderValue};

/// How often a request has a header field that may occur once.
#[derive(Clone, Copy, Debug, Default)]
pub enum HeaderOccurrence<'a> {
    /// The request does not have it.
    #[default]
    Absent,
    /// The request has it once, with this value.
    Once(&'a HeaderValue),
    /// The request has it several times: which value the sender meant is unknown.
    Repeated,
}

impl<'a> HeaderOccurrence<'a> {
    /// Counts the values of `name` in `headers`.
    #[must_use]
    pub fn from_headers(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        headers.get_all(name).iter().fold(Self::Absent, Self::and)
    }

    /// Counts one more value.
    pub(super) const fn and(self, value: &'a HeaderValue) -> Self {
        match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        }
    }
}
