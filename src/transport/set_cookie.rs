//! The response headers that set or clear the session cookie.

use std::time::Duration;

use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};

use super::{CookieError, SessionCookie};

/// Sets or clears the session cookie in the response of a sign-in or sign-out handler.
///
/// With feature `axum` it is put before a response: `(cookie, Redirect::to("/"))`; elsewhere
/// [`write_to`](Self::write_to) adds the headers. `Debug` hides the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the cookie is set by the response that carries this"]
pub struct SetCookie {
    value: HeaderValue,
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
        Ok(Self { value: cookie.set(token, max_age)? })
    }

    /// As [`new`](Self::new), for a token that this crate has minted.
    pub(crate) fn trusted(cookie: &SessionCookie, token: &str, max_age: Duration) -> Self {
        Self { value: cookie.set_trusted(token, max_age) }
    }

    /// Clears `cookie`.
    pub fn clear(cookie: &SessionCookie) -> Self {
        Self { value: cookie.clear() }
    }

    /// Adds `Set-Cookie`, and sets `Cache-Control: no-store`: a cache must not hand the cookie to
    /// another client.
    pub fn write_to(self, headers: &mut HeaderMap) {
        headers.append(SET_COOKIE, self.value);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
