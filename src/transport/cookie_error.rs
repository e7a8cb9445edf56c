//! Why a cookie is refused.

use std::fmt;

/// Why a [`SessionCookie`](super::SessionCookie) refuses a name, a path, a domain or a token. The
/// text says what is allowed.
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
    /// The domain is no host name.
    Domain,
    /// A `__Host-` cookie has a domain.
    HostDomain,
    /// The value is no bearer token (RFC 6750 section 2.1).
    Token,
    /// The cookie would have more than 4,096 bytes.
    TooLong,
}

impl CookieError {
    pub(super) const fn new(kind: CookieErrorKind) -> Self {
        Self(kind)
    }

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
            CookieErrorKind::Domain => "a cookie domain is a host name, such as `example.com`",
            CookieErrorKind::HostDomain => {
                "a `__Host-` cookie has no domain: give the cookie another name with `named`"
            }
            CookieErrorKind::Token => "a token consists of letters, digits and -._~+/=",
            CookieErrorKind::TooLong => "browsers drop a cookie of more than 4,096 bytes",
        })
    }
}

impl std::error::Error for CookieError {}
