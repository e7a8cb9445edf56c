//! The response headers that set or clear the session cookie.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};

use super::{cookie::SessionCookie, cookie_error::CookieError};

/// Sets or clears the session cookie in the response of a sign-in or sign-out handler, and clears its
/// [former](SessionCookie::former) cookies.
///
/// With feature `axum` it is put before a response: `(cookie, Redirect::to("/"))`; elsewhere
/// [`write_to`](Self::write_to) adds the headers. `Debug` hides the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the cookie is set by the response that carries this"]
pub struct SetCookie {
    /// Those that clear come first: a client that mixes two cookies up keeps the session.
    values: Vec<HeaderValue>,
}

impl SetCookie {
    /// Sets `cookie` to `token`; the browser keeps it for `max_age`, in whole seconds.
    ///
    /// # Errors
    /// As [`SessionCookie::set`].
    pub fn new(
        cookie: &SessionCookie,
        token: &str,
        max_age: Duration,
    ) -> Result<Self, CookieError> {
        Ok(Self::with_former(cookie, cookie.set(token, max_age)?))
    }

    /// As [`new`](Self::new), for a token that this crate has minted.
    pub(crate) fn trusted(cookie: &SessionCookie, token: &str, max_age: Duration) -> Self {
        Self::with_former(cookie, cookie.set_trusted(token, max_age))
    }

    /// Clears `cookie`.
    pub fn clear(cookie: &SessionCookie) -> Self {
        Self::with_former(cookie, cookie.clear())
    }

    fn with_former(cookie: &SessionCookie, value: HeaderValue) -> Self {
        Self { values: cookie.clear_former().chain([value]).collect() }
    }

    pub(super) const fn from_values(values: Vec<HeaderValue>) -> Self {
        Self { values }
    }

    /// Adds `Set-Cookie`, and sets `Cache-Control: no-store`: a cache must not hand the cookie to
    /// another client.
    pub fn write_to(self, headers: &mut HeaderMap) {
        self.append_to(headers);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }

    pub(crate) fn append_to(self, headers: &mut HeaderMap) {
        for value in self.values {
            headers.append(SET_COOKIE, value);
        }
    }
}
