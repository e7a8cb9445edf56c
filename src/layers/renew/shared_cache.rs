//! Which responses a shared cache may store (RFC 9111).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, EXPIRES},
};

use crate::rejection::{X_ACCEL_EXPIRES, is_targeted};

/// Directives that let a shared cache store a response to a request with `Authorization` (RFC 9111
/// section 3.5).
const ALLOWING: [&str; 3] = ["public", "s-maxage", "must-revalidate"];

/// Whether a shared cache is to store a response with these headers: it would send the token to other
/// users, and must not lose the response to `no-store` (P9).
pub(super) fn is_for_shared_caches(headers: &HeaderMap) -> bool {
    directives_for_all(headers).is_none_or(|directives| directives.allow && !directives.forbid)
}

/// Whether a shared cache may store a response with these headers as it is, and would repeat its
/// deadlines (P9). Beside those for shared caches, responses that say how long they are fresh: caches
/// store them for requests with a cookie (RFC 9111 section 3), and nginx for those with
/// `Authorization`, too.
pub(super) fn may_be_stored(headers: &HeaderMap) -> bool {
    let is_fresh = || {
        let expires = headers.get(EXPIRES).map(HeaderValue::as_bytes);
        expires.is_some_and(|value| !matches!(value, b"0" | b"-1"))
    };
    directives_for_all(headers).is_none_or(|directives| {
        !directives.forbid && (directives.allow || directives.fresh || is_fresh())
    })
}

/// The directives for all caches; `None` if a field for one kind of shared cache does not forbid
/// storing.
fn directives_for_all(headers: &HeaderMap) -> Option<Directives> {
    let mut directives = Directives::default();
    for (name, value) in headers {
        if *name == CACHE_CONTROL {
            directives.read(value);
        } else if is_targeted(name) && !forbids_storing(name, value) {
            return None;
        }
    }
    Some(directives)
}

/// Whether a targeted field forbids its cache to store the response. For nginx `0` does.
fn forbids_storing(name: &HeaderName, value: &HeaderValue) -> bool {
    if *name == X_ACCEL_EXPIRES {
        return value.as_bytes().trim_ascii() == b"0";
    }
    let mut directives = Directives::default();
    directives.read(value);
    directives.forbid
}

/// What the directives of one or more lines say together.
#[derive(Default)]
struct Directives {
    allow: bool,
    /// `max-age` other than zero.
    fresh: bool,
    /// `no-store`, or `private` for the whole response: no shared cache stores it, whatever else is
    /// said (RFC 9111 sections 5.2.2.5 and 5.2.2.7).
    forbid: bool,
}

impl Directives {
    fn read(&mut self, value: &HeaderValue) {
        let mut is_quoted = false;
        let separates = |byte: &u8| {
            is_quoted ^= *byte == b'"';
            *byte == b',' && !is_quoted
        };
        for directive in value.as_bytes().split(separates) {
            let (name, argument) = match directive.iter().position(|byte| *byte == b'=') {
                Some(at) => (&directive[..at], Some(&directive[at + 1..])),
                None => (directive, None),
            };
            let is = |other: &str| name.trim_ascii().eq_ignore_ascii_case(other.as_bytes());
            // `private="set-cookie"` is about that field only.
            self.forbid |= is("no-store") || is("private") && argument.is_none();
            self.allow |= ALLOWING.iter().any(|allowing| is(allowing));
            self.fresh |= is("max-age") && argument.is_some_and(|it| it.trim_ascii() != b"0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(lines: &[(&'static str, &'static str)]) -> bool {
        let lines = lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_for_shared_caches(&lines.collect())
    }

    #[test]
    fn p09_cache_control_allows_and_forbids_shared_caches() {
        for (value, expected) in [
            ("public, max-age=60", true),
            ("max-age=60 , S-MaxAge = 60", true),
            ("Must-Revalidate", true),
            ("no-cache, must-revalidate", true),
            ("private=\"set-cookie\", public", true),
            ("private=\"a, no-store\", public", true),
            ("max-age=60", false),
            ("no-cache", false),
            ("private, max-age=0, must-revalidate", false),
            ("private, no-cache, no-store, max-age=0, must-revalidate", false),
            ("no-cache, no-store, max-age=0, must-revalidate", false),
            ("no-store, no-cache, must-revalidate", false),
            ("NO-STORE, public", false),
            ("", false),
            (",,\"", false),
        ] {
            assert_eq!(stored(&[("cache-control", value)]), expected, "{value}");
        }
        assert!(stored(&[("cache-control", "no-cache"), ("cache-control", "public")]));
        assert!(!stored(&[("cache-control", "public"), ("cache-control", "no-store")]));
    }

    #[test]
    fn p09_a_field_for_one_shared_cache_counts_by_itself() {
        for name in [
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
            "vercel-cdn-cache-control",
            "netlify-cdn-cache-control",
            "akamai-cache-control",
            "x-litespeed-cache-control",
            "surrogate-control",
            "edge-control",
        ] {
            for value in ["max-age=60", "public", "", "private=\"x\", max-age=1"] {
                assert!(stored(&[(name, value), ("cache-control", "no-store")]), "{name}: {value}");
            }
            for value in ["no-store", "private, max-age=60", "max-age=60, No-Store"] {
                assert!(!stored(&[(name, value)]), "{name}: {value}");
            }
        }
        for (value, expected) in [("60", true), ("@1800000000", true), ("", true), ("0", false)] {
            assert_eq!(stored(&[("x-accel-expires", value)]), expected, "{value}");
        }
        assert!(!stored(&[("x-public", "public"), ("x-cache-control-x", "public")]));
    }

    #[test]
    fn p09_a_response_that_says_how_long_it_is_fresh_may_be_stored() {
        for (lines, expected) in [
            (&[("cache-control", "max-age=60")][..], true),
            (&[("cache-control", "Max-Age=60, stale-while-revalidate=9")], true),
            (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], true),
            (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT"), ("pragma", "no-cache")], true),
            (&[("cache-control", "public")], true),
            (&[("x-accel-expires", "1"), ("cache-control", "no-store")], true),
            (&[("cache-control", "max-age=60, private")], false),
            (&[("cache-control", "no-store"), ("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], false),
            (&[("cache-control", "max-age=0")], false),
            (&[("cache-control", "no-cache")], false),
            (&[("expires", "0")], false),
            (&[("expires", "-1")], false),
            (&[], false),
        ] {
            let headers = lines.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            assert_eq!(may_be_stored(&headers.collect()), expected, "{lines:?}");
        }
    }
}
