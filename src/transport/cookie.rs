//! The session cookie (RFC 6265bis).

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::{
    cookie_error::{CookieError, CookieErrorKind},
    cookie_header,
};

/// The cookie that carries a session's token; by default
/// `__Host-session; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age`.
///
/// A browser also attaches cookies to requests that another site causes: use it together with
/// tower-http's `CsrfLayer`.
///
/// Of several cookies of this name in a request at most four are looked at; equal ones count once.
/// Those that do not verify or have expired are skipped, and of several of one subject the one with
/// the latest `iat` counts. Good ones of two subjects are `invalid_token`, and so is an empty one.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::{SessionCookie, transport::SameSite};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cookie = SessionCookie::named("session", "/")?
///     .domain("example.com")?
///     .same_site(SameSite::Strict)
///     .without_max_age();
/// let set = cookie.set("a.b.c", Duration::from_secs(3600))?;
/// assert_eq!(
///     set,
///     "session=a.b.c; Path=/; Domain=example.com; Secure; HttpOnly; SameSite=Strict",
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct SessionCookie {
    name: Box<str>,
    path: Box<str>,
    domain: Option<Box<str>>,
    same_site: SameSite,
    is_secure: bool,
    is_partitioned: bool,
    has_max_age: bool,
    former: Vec<SessionCookie>,
}

/// Which requests of other sites carry a cookie (RFC 6265bis section 5.4.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SameSite {
    /// None: a link from another site opens the page without the session.
    Strict,
    /// Links and other top-level navigations with a safe method. The default.
    #[default]
    Lax,
    /// All. Browsers require `Secure` for it, and many block such cookies unless they are
    /// [partitioned](SessionCookie::partitioned).
    None,
}

impl SessionCookie {
    /// `__Host-session`: browsers accept it over HTTPS only and send it to this host only.
    pub fn new() -> Self {
        Self::unchecked("__Host-session", "/")
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
            return Err(CookieError::new(CookieErrorKind::Name));
        }
        if !path.starts_with('/')
            || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
        {
            return Err(CookieError::new(CookieErrorKind::Path));
        }
        if without_prefix(&name, HOST_PREFIX).is_some() && path != "/" {
            return Err(CookieError::new(CookieErrorKind::HostPath));
        }
        Ok(Self::unchecked(name, path))
    }

    fn unchecked(name: impl Into<Box<str>>, path: impl Into<Box<str>>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            domain: None,
            same_site: SameSite::Lax,
            is_secure: true,
            is_partitioned: false,
            has_max_age: true,
            former: Vec::new(),
        }
    }

    /// Sends the cookie to `domain` and every host below it. Each of them can then read and set it.
    /// Default: only to the host that has set it.
    ///
    /// # Errors
    /// A domain that is no host name, and a name with `__Host-`: browsers reject such a cookie.
    pub fn domain(mut self, domain: impl Into<String>) -> Result<Self, CookieError> {
        let domain = domain.into();
        let is_label = |label: &str| {
            let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !label.is_empty() && label.bytes().all(is_inner)
        };
        // Browsers ignore a dot before the name (RFC 6265 section 5.2.3).
        let name = domain.strip_prefix('.').unwrap_or(&domain);
        if !name.split('.').all(is_label) {
            return Err(CookieError::new(CookieErrorKind::Domain));
        }
        if without_prefix(&self.name, HOST_PREFIX).is_some() {
            return Err(CookieError::new(CookieErrorKind::HostDomain));
        }
        self.domain = Some(name.into());
        Ok(self)
    }

    /// Sets which requests of other sites carry the cookie. Default: [`SameSite::Lax`].
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Adds `Partitioned`: a browser keeps one cookie for each site that embeds this one (CHIPS).
    /// For embedded apps, with [`SameSite::None`]. Default: off.
    pub const fn partitioned(mut self) -> Self {
        self.is_partitioned = true;
        self
    }

    /// Writes no `Max-Age`: the cookie ends with the browser. Default: it ends with its token.
    pub const fn without_max_age(mut self) -> Self {
        self.has_max_age = false;
        self
    }

    /// Clears `former` whenever this cookie is set or cleared: a cookie with the name, path and
    /// domain of an earlier version of the app. A token in it is accepted where the request carries
    /// no cookie of the new name, so that the change signs nobody out. May be called several times.
    ///
    /// A cookie of an earlier version whose path or domain nobody knows any more cannot be cleared:
    /// it is skipped once its token has expired.
    pub fn former(mut self, former: Self) -> Self {
        self.former.push(former);
        self
    }

    /// Removes `Secure`, and with it what browsers accept only together with it: the prefixes of a
    /// name, `Partitioned`, and `SameSite=None`, which becomes `Lax`. For plain HTTP on a developer's
    /// machine. In production anyone on the network could read the cookie.
    pub fn dangerous_insecure(mut self) -> Self {
        while let Some(bare) = without_secure_prefix(&self.name) {
            self.name = bare.into();
        }
        self.is_secure = false;
        self
    }

    /// The names in which a token is read, the cookie's own first.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(self.former.iter().map(|it| &it.name)).map(|name| &**name)
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The `Set-Cookie` value that stores `token` for `max_age`, in whole seconds. Marked
    /// sensitive. [`SetCookie`](super::SetCookie) also clears the [former](Self::former) cookies.
    ///
    /// # Errors
    /// A token with other characters than those of RFC 6750 section 2.1: it could add attributes. A
    /// cookie of more than 4,096 bytes, name and attributes included.
    pub fn set(&self, token: &str, max_age: Duration) -> Result<HeaderValue, CookieError> {
        if token.is_empty() || !token.bytes().all(is_token_byte) {
            return Err(CookieError::new(CookieErrorKind::Token));
        }
        if token.len() > self.longest_token() {
            return Err(CookieError::new(CookieErrorKind::TooLong));
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
        self.write(token, self.has_max_age.then_some(max_age))
    }

    /// The `Set-Cookie` value that deletes the cookie.
    #[must_use]
    pub fn clear(&self) -> HeaderValue {
        self.write("", Some(Duration::ZERO))
    }

    /// The `Set-Cookie` values that delete the former cookies.
    pub(super) fn clear_former(&self) -> impl Iterator<Item = HeaderValue> {
        self.former.iter().filter(|former| !former.is_at_the_place_of(self)).map(Self::clear)
    }

    /// The `Set-Cookie` values that delete those of this cookie and the former ones whose names a
    /// request with `headers` carries.
    pub(crate) fn clear_carried(&self, headers: &HeaderMap) -> impl Iterator<Item = HeaderValue> {
        let own = cookie_header::is_carried(headers, &self.name).then(|| self.clear());
        let former = self.former.iter().filter(|it| !it.is_at_the_place_of(self));
        let former = former.filter(|former| cookie_header::is_carried(headers, &former.name));
        former.map(Self::clear).chain(own)
    }

    fn write(&self, token: &str, max_age: Option<Duration>) -> HeaderValue {
        use std::fmt::Write as _;
        let Self { name, path, .. } = self;
        let mut cookie = format!("{name}={token}; Path={path}");
        if let Some(domain) = &self.domain {
            cookie.push_str("; Domain=");
            cookie.push_str(domain);
        }
        if self.is_secure {
            cookie.push_str("; Secure");
        }
        cookie.push_str(match (self.same_site, self.is_secure) {
            (SameSite::Strict, _) => "; HttpOnly; SameSite=Strict",
            (SameSite::None, true) => "; HttpOnly; SameSite=None",
            (SameSite::Lax, _) | (SameSite::None, false) => "; HttpOnly; SameSite=Lax",
        });
        if self.is_partitioned && self.is_secure {
            cookie.push_str("; Partitioned");
        }
        if let Some(max_age) = max_age {
            // Writing to a string cannot fail.
            let _ = write!(cookie, "; Max-Age={}", max_age.as_secs());
        }
        let mut value =
            HeaderValue::try_from(cookie).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }

    /// Whether a `Set-Cookie` value sets this cookie.
    pub(super) fn is_set_by(&self, set_cookie: &HeaderValue) -> bool {
        let value = set_cookie.as_bytes();
        value.starts_with(self.name.as_bytes()) && value.get(self.name.len()) == Some(&b'=')
    }

    /// Whether a browser keeps one of the two only (RFC 6265 section 5.3).
    fn is_at_the_place_of(&self, other: &Self) -> bool {
        self.name == other.name
            && self.path == other.path
            && self.domain == other.domain
            && self.is_partitioned == other.is_partitioned
    }
}

/// The longest cookie that every browser keeps, in bytes: its name, value and attributes together
/// (RFC 6265 section 6.1). Newer browsers count name and value only.
const MAX_COOKIE: usize = 4096;

/// The prefix of cookies that are sent to the host only that has set them.
const HOST_PREFIX: &str = "__Host-";

/// The prefixes of cookie names that require `Secure`: those of RFC 6265bis section 4.1.3, and
/// `__Http-`, which newer browsers know.
const SECURE_PREFIXES: [&str; 3] = [HOST_PREFIX, "__Secure-", "__Http-"];

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
