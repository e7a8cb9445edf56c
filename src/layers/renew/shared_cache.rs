//! Which responses a shared cache may store (RFC 9111).

use http::{HeaderName, HeaderValue, header::CACHE_CONTROL};

/// Headers for shared caches only.
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Directives by which a response to a request with `Authorization` may be stored by a shared
/// cache (RFC 9111 section 3.5).
const SHARED_CACHE_DIRECTIVES: [&str; 3] = ["public", "s-maxage", "must-revalidate"];

/// Whether a shared cache may store a response with this header: it would send the token to other
/// users (P9).
pub(super) fn is_shared_cacheable(name: &HeaderName, value: &HeaderValue) -> bool {
    if *name == CACHE_CONTROL {
        return value.as_bytes().split(|byte| *byte == b',').any(|directive| {
            let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default();
            let name = name.trim_ascii();
            SHARED_CACHE_DIRECTIVES.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
        });
    }
    *name == CDN_CACHE_CONTROL || *name == SURROGATE_CONTROL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p09_every_way_to_address_a_shared_cache_is_seen() {
        let cases = [
            ("cache-control", "public, max-age=60", true),
            ("cache-control", "max-age=60 , S-MaxAge = 60", true),
            ("cache-control", "Must-Revalidate", true),
            ("cdn-cache-control", "max-age=60", true),
            ("surrogate-control", "max-age=60", true),
            ("cache-control", "private, max-age=60", false),
            ("cache-control", "no-store", false),
            ("x-public", "public", false),
        ];
        for (name, value, expected) in cases {
            let (key, held) = (HeaderName::from_static(name), HeaderValue::from_static(value));
            assert_eq!(is_shared_cacheable(&key, &held), expected, "{name}: {value}");
        }
    }
}
