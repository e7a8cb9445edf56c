//! The request header `Session-Activity`.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header by which a client declares that a request is no activity of its user, or that it is.
pub(crate) const SESSION_ACTIVITY: HeaderName = HeaderName::from_static("session-activity");

/// What the values of `Session-Activity` declare. Of several the lowest class wins; other values are
/// ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DeclaredActivity {
    #[default]
    Nothing,
    User,
    Background,
}

impl DeclaredActivity {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        headers.get_all(SESSION_ACTIVITY).iter().fold(Self::Nothing, Self::and)
    }

    /// Adds one more field line, which may have several values (RFC 9110 section 5.3).
    pub(super) fn and(self, line: &HeaderValue) -> Self {
        let values = line.as_bytes().split(|byte| *byte == b',');
        values.fold(self, |declared, value| {
            let value = value.trim_ascii();
            declared.max(if value.eq_ignore_ascii_case(b"background") {
                Self::Background
            } else if value.eq_ignore_ascii_case(b"user") {
                Self::User
            } else {
                Self::Nothing
            })
        })
    }
}

/// Whether a value of `Session-Activity` is `background`.
pub(crate) fn says_background(headers: &HeaderMap) -> bool {
    DeclaredActivity::from_headers(headers) == DeclaredActivity::Background
}

/// Whether `Session-Activity` is `user`, and no value of it is `background`.
pub(crate) fn says_user(headers: &HeaderMap) -> bool {
    DeclaredActivity::from_headers(headers) == DeclaredActivity::User
}
