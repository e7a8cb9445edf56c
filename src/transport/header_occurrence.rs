//! A header that means something where it stands once.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The values of a header that ought to have one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum HeaderOccurrence<'a> {
    #[default]
    Absent,
    Once(&'a HeaderValue),
    Repeated,
}

impl<'a> HeaderOccurrence<'a> {
    /// What `headers` have under `name`.
    pub(crate) fn from_headers(headers: &'a HeaderMap, name: &HeaderName) -> Self {
        headers.get_all(name).iter().fold(Self::Absent, Self::with)
    }

    /// With one more value.
    pub(crate) const fn with(self, value: &'a HeaderValue) -> Self {
        match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        }
    }
}
