//! Delivery of a successor: a response header, or the session cookie.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};

use super::{
    cookie::SessionCookie,
    set_cookie::SetCookie,
    transport::{MAX_TOKEN, TokenOrigin},
    transports::Transports,
};

/// The response header that carries a renewed token, unless another one is set.
pub const RENEWED_TOKEN: HeaderName = HeaderName::from_static("x-refreshed-token");

/// Where renewed tokens are written: a response header, or the cookie for tokens that came in one.
#[derive(Clone, Debug)]
#[must_use]
pub struct TokenDelivery {
    header: HeaderName,
    cookie: Option<CookieCarrier>,
    mirror: Option<CookieCarrier>,
}

/// A cookie, and the longest token that browsers keep in it, in bytes.
#[derive(Clone, Debug)]
struct CookieCarrier {
    cookie: SessionCookie,
    longest_token: usize,
}

impl CookieCarrier {
    fn new(cookie: SessionCookie) -> Self {
        Self { longest_token: cookie.longest_token().min(MAX_TOKEN), cookie }
    }

    fn write(&self, headers: &mut HeaderMap, token: &str, life: Duration) {
        SetCookie::trusted(&self.cookie, token, life).append_to(headers);
    }
}

/// The longest tokens that the carriers of a stack take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CarrierLimits {
    /// Every carrier takes a token of this length.
    pub(crate) every: usize,
    /// At least one carrier does.
    pub(crate) any: usize,
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
        self.cookie = Some(CookieCarrier::new(cookie));
        self
    }

    /// Also writes the tokens that go out in the header into this cookie.
    pub fn mirror_cookie(mut self, cookie: SessionCookie) -> Self {
        self.mirror = Some(CookieCarrier::new(cookie));
        self
    }

    /// The header of renewed tokens.
    #[must_use]
    pub const fn header_name(&self) -> &HeaderName {
        &self.header
    }

    /// The `Set-Cookie` values that delete the session cookie, the mirror cookie and their former
    /// ones, as far as a request with `headers` carries them.
    pub(crate) fn clear_carried(&self, headers: &HeaderMap) -> SetCookie {
        let carriers = [&self.cookie, &self.mirror].into_iter().flatten();
        let cleared = carriers.flat_map(|carrier| carrier.cookie.clear_carried(headers));
        SetCookie::from_values(cleared.collect())
    }

    /// Whether the successor of a token with this origin can be delivered.
    pub(crate) const fn reaches(&self, origin: TokenOrigin) -> bool {
        match origin {
            TokenOrigin::Header => true,
            TokenOrigin::Cookie => self.cookie.is_some(),
            TokenOrigin::NoSuccessor => false,
        }
    }

    /// Whether a response with this header sets or deletes a token already: a login or logout.
    pub(crate) fn is_used_by(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        let mut carriers = [&self.cookie, &self.mirror].into_iter().flatten();
        *name == self.header
            || *name == SET_COOKIE && carriers.any(|carrier| carrier.cookie.is_set_by(value))
    }

    /// The longest successor, in bytes, of a token with this origin.
    pub(crate) fn longest_token(&self, origin: TokenOrigin) -> usize {
        match (origin, &self.cookie) {
            (TokenOrigin::Cookie, Some(carrier)) => carrier.longest_token,
            _ => MAX_TOKEN,
        }
    }

    /// The longest tokens that can be presented with `transports`, and that this delivers.
    pub(crate) fn limits(&self, transports: &Transports) -> CarrierLimits {
        let origins = [TokenOrigin::Header, TokenOrigin::Cookie];
        let presented = origins.into_iter().filter(|origin| transports.count(*origin) > 0);
        let presented = presented.map(|origin| self.longest_token(origin));
        let any = presented.clone().max().unwrap_or(MAX_TOKEN);
        let mirror = self.mirror.as_ref().map(|carrier| carrier.longest_token);
        CarrierLimits { every: presented.chain(mirror).min().unwrap_or(MAX_TOKEN), any }
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
                match &self.mirror {
                    Some(mirror) if token.len() <= mirror.longest_token => {
                        mirror.write(headers, &token, life);
                    }
                    Some(_) => tracing::warn!("the renewed token is too long for `mirror_cookie`"),
                    None => {}
                }
                let Ok(mut value) = HeaderValue::try_from(token) else { return };
                value.set_sensitive(true);
                headers.insert(self.header.clone(), value);
            }
            TokenOrigin::Cookie => {
                if let Some(carrier) = &self.cookie {
                    carrier.write(headers, &token, life);
                }
            }
            TokenOrigin::NoSuccessor => return,
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

impl Default for TokenDelivery {
    fn default() -> Self {
        Self::new()
    }
}
