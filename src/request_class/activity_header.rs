//! The request header `Session-Activity`.

use http::{HeaderMap, HeaderName};

use super::header_occurrence::HeaderOccurrence;

/// The header by which a client declares that a request is no activity of its user.
pub(crate) const SESSION_ACTIVITY: HeaderName = HeaderName::from_static("session-activity");

/// Whether the only value of `Session-Activity` is `background`. Several values are ignored.
pub(crate) fn says_background(headers: &HeaderMap) -> bool {
    is_background(HeaderOccurrence::from_headers(headers, &SESSION_ACTIVITY))
}

pub(super) fn is_background(activity: HeaderOccurrence<'_>) -> bool {
    let HeaderOccurrence::Once(value) = activity else { return false };
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"background")
}
