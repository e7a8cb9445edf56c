//! The request header `Session-Activity`.

use http::{HeaderMap, HeaderName};

use super::header_occurrence::HeaderOccurrence;

/// The header by which a client declares that a request is no activity of its user, or that it is.
pub(crate) const SESSION_ACTIVITY: HeaderName = HeaderName::from_static("session-activity");

/// Whether the only value of `Session-Activity` is `background`. Several values are ignored.
pub(crate) fn says_background(headers: &HeaderMap) -> bool {
    is_background(HeaderOccurrence::from_headers(headers, &SESSION_ACTIVITY))
}

pub(super) fn is_background(activity: HeaderOccurrence<'_>) -> bool {
    is(activity, b"background")
}

/// Whether the only value of `Session-Activity` is `user`. Several values are ignored.
pub(super) fn says_user(headers: &HeaderMap) -> bool {
    is(HeaderOccurrence::from_headers(headers, &SESSION_ACTIVITY), b"user")
}

fn is(activity: HeaderOccurrence<'_>, declared: &[u8]) -> bool {
    let HeaderOccurrence::Once(value) = activity else { return false };
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(declared)
}
