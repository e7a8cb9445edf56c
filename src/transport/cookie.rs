//! The session cookie (RFC 6265bis).

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::transport::{PresentedToken, TokenOrigin, Transport, mark_sensitive_if};
use crate::{rejection::InvalidTokenReason, request_class::RequestHead};

/// The cookie that carries a session's token; by default
/// `__Host-session; Path=/; Secure; HttpOnly; SameSite=Lax`.
///
/// A browser also attaches cookies to requests that another site causes: use it together with
/// tower-http's `CsrfLayer`. A request with two cookies of this name, or with an empty one, is
/// `invalid_token`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct SessionCookie {
    name: Box<str>,
    path: Box<str>,
    secure: bool,
}

/// Why a [`SessionCookie`] refuses a name, a path or a token. The text says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieError(CookieErrorKind);

/// The kinds of [`CookieError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieErrorKind {
    /// The name is no token (RFC 9110 section 5.6.2).
    Name,
    /// The path does not begin with `/`, or contains a character that no cookie path has.
    Path,
    /// A `__Host-` cookie has a path other than `/`.
    HostPath,
    /// The value is no bearer token (RFC 6750 section 2.1).
    Token,
    /// The cookie would have more than 4,096 bytes.
    TooLong,
}

impl CookieError {
    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> CookieErrorKind {
        self.0
    }
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            CookieErrorKind::Name => {
                "a cookie name consists of letters, digits and !#$%&'*+-.^_`|~"
            }
            CookieErrorKind::Path => "a cookie path begins with `/` and contains no `;` or space",
            CookieErrorKind::HostPath => "a `__Host-` cookie requires the path `/`",
            CookieErrorKind::Token => "a token consists of letters, digits and -._~+/=",
            CookieErrorKind::TooLong => "browsers drop a cookie of more than 4,096 bytes",
        })
    }
}

impl std::error::Error for CookieError {}

impl SessionCookie {
    /// `__Host-session`: browsers accept it over HTTPS only and send it to this host only.
    pub fn new() -> Self {
        Self { name: "__Host-session".into(), path: "/".into(), secure: true }
    }

    /// A cookie with another name and path.
    ///
    /// # Errors
    /// A name that is no token (RFC 9110 section 5.6.2), a path that does not begin with `/` or
    /// contains a space, a control character or `;`, and `__Host-` in any case with a path other
    /// than `/`.
    pub fn named(name: impl Into<String>, path: impl Into<String>) -> Result<Self, CookieError> {
        let (name, path) = (name.into(), path.into());
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(CookieError(CookieErrorKind::Name));
        }
        if !path.starts_with('/')
            || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
        {
            return Err(CookieError(CookieErrorKind::Path));
        }
        if without_prefix(&name, "__Host-").is_some() && path != "/" {
            return Err(CookieError(CookieErrorKind::HostPath));
        }
        Ok(Self { name: name.into(), path: path.into(), secure: true })
    }

    /// Removes `Secure`, and with it the prefixes of a name that require it: for plain HTTP on a
    /// developer's machine. In production anyone on the network could read the cookie.
    pub fn dangerous_insecure(mut self) -> Self {
        while let Some(bare) = without_secure_prefix(&self.name) {
            self.name = bare.into();
        }
        self.secure = false;
        self
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `Set-Cookie` value that stores `token` for `max_age`, in whole seconds. Marked
    /// sensitive.
    ///
    /// # Errors
    /// A token with other characters than those of RFC 6750 section 2.1: it could add attributes. A
    /// cookie of more than 4,096 bytes, name and attributes included.
    pub fn set(&self, token: &str, max_age: Duration) -> Result<HeaderValue, CookieError> {
        if token.is_empty() || !token.bytes().all(is_token_byte) {
            return Err(CookieError(CookieErrorKind::Token));
        }
        if token.len() > self.longest_token() {
            return Err(CookieError(CookieErrorKind::TooLong));
        }
        Ok(self.set_trusted(token, max_age))
    }

    /// The longest token that browsers keep in this cookie, in bytes.
    pub(crate) fn longest_token(&self) -> usize {
        let attributes = self.set_trusted("", Duration::from_secs(u32::MAX.into()));
        MAX_COOKIE.saturating_sub(attributes.len())
    }

    /// As [`set`](Self::set), for a token that this crate has minted.
    pub(crate) fn set_trusted(&self, token: &str, max_age: Duration) -> HeaderValue {
        let Self { name, path, secure } = self;
        let secure = if *secure { "; Secure" } else { "" };
        let seconds = max_age.as_secs();
        let cookie = format!(
            "{name}={token}; Path={path}{secure}; HttpOnly; SameSite=Lax; Max-Age={seconds}"
        );
        let mut value =
            HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// The `Set-Cookie` value that deletes the cookie.
    #[must_use]
    pub fn clear(&self) -> HeaderValue {
        self.set_trusted("", Duration::ZERO)
    }

    /// Whether a `Set-Cookie` value sets this cookie.
    pub(super) fn is_set_by(&self, set_cookie: &HeaderValue) -> bool {
        let value = set_cookie.as_bytes();
        value.starts_with(self.name.as_bytes()) && value.get(self.name.len()) == Some(&b'=')
    }
}

/// The longest cookie that every browser keeps, in bytes: its name, value and attributes together
/// (RFC 6265 section 6.1). Newer browsers count name and value only.
const MAX_COOKIE: usize = 4096;

/// The prefixes of cookie names that require `Secure`: those of RFC 6265bis section 4.1.3, and
/// `__Http-`, which newer browsers know.
const SECURE_PREFIXES: [&str; 3] = ["__Host-", "__Secure-", "__Http-"];

/// `name` without `prefix`. Browsers recognize prefixes in any case (RFC 6265bis section 5.4).
fn without_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `name` without a prefix that requires `Secure`, unless it is nothing else.
fn without_secure_prefix(name: &str) -> Option<&str> {
    let mut bare = SECURE_PREFIXES.iter().filter_map(|prefix| without_prefix(name, prefix));
    bare.find(|bare| !bare.is_empty())
}

/// Whether `byte` may occur in a bearer token (RFC 6750 section 2.1).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for SessionCookie {
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
        let mut found = PresentedToken::None;
        for header in head.headers().get_all(COOKIE) {
            for pair in header.as_bytes().split(|byte| *byte == b';') {
                let pair = pair.trim_ascii();
                let Some(rest) = pair.strip_prefix(self.name.as_bytes()) else { continue };
                let Some(value) = rest.strip_prefix(b"=") else { continue };
                if found != PresentedToken::None {
                    return PresentedToken::Unreadable(InvalidTokenReason::SeveralTokens);
                }
                found = PresentedToken::from_bytes(value);
            }
        }
        found
    }

    fn mark_sensitive(&self, headers: &mut HeaderMap) {
        mark_sensitive_if(headers, |name| *name == COOKIE);
    }

    fn origin(&self) -> TokenOrigin {
        TokenOrigin::Cookie
    }
}
