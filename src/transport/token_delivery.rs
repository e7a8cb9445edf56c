//! Delivery of a successor: a response header, or the session cookie.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};

use super::{cookie::SessionCookie, transport::TokenOrigin};

/// The response header that carries a renewed token, unless another one is set.
pub const RENEWED_TOKEN: HeaderName = HeaderName::from_static("x-refreshed-token");

/// Where renewed tokens are written: a response header, or the cookie for tokens that came in one.
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenDelivery {
    header: HeaderName,
    cookie: Option<SessionCookie>,
    mirror: Option<SessionCookie>,
}

impl TokenDelivery {
    /// The header `x-refreshed-token`, and no cookie: tokens that came in one are not renewed.
    pub const fn new() -> Self {
        Self { header: RENEWED_TOKEN, cookie: None, mirror: None }
    }

    /// Writes to another header.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self
    }

    /// The cookie for tokens that came in it.
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// Also writes the tokens that go out in the header into this cookie.
    pub fn mirror_cookie(mut self, cookie: SessionCookie) -> Self {
        self.mirror = Some(cookie);
        self
    }

    /// The header of renewed tokens.
    #[must_use]
    pub const fn header_name(&self) -> &HeaderName {
        &self.header
    }

    /// Whether the successor of a token with this origin can be delivered.
    pub(crate) const fn reaches(&self, origin: TokenOrigin) -> bool {
        match origin {
            TokenOrigin::Header => true,
            TokenOrigin::Cookie => self.cookie.is_some(),
        }
    }

    /// Whether a response with this header sets or deletes a token already: a login or logout.
    pub(crate) fn is_used_by(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        let mut cookies = [&self.cookie, &self.mirror].into_iter().flatten();
        *name == self.header || *name == SET_COOKIE && cookies.any(|cookie| cookie.is_set_by(value))
    }

    /// Writes `token`, which expires after `life`, and `Cache-Control: no-store`.
    pub(crate) fn write(
        &self,
        headers: &mut HeaderMap,
        origin: TokenOrigin,
        token: String,
        life: Duration,
    ) {
        match origin {
            TokenOrigin::Header => {
                if let Some(mirror) = &self.mirror {
                    headers.append(SET_COOKIE, mirror.set_trusted(&token, life));
                }
                let Ok(mut value) = HeaderValue::try_from(token) else { return };
                value.set_sensitive(true);
                headers.insert(self.header.clone(), value);
            }
            TokenOrigin::Cookie => {
                if let Some(cookie) = &self.cookie {
                    headers.append(SET_COOKIE, cookie.set_trusted(&token, life));
                }
            }
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

impl Default for TokenDelivery {
    fn default() -> Self {
        Self::new()
    }
}
