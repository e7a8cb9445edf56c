//! Which responses a shared cache may keep.

use http::{HeaderMap, HeaderName, header::CACHE_CONTROL};

/// Headers that speak to shared caches only; where one stands, a cache may be listening.
const SHARED_CACHE_HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

/// Directives by which a response to a request with `Authorization` may be stored by a shared
/// cache (RFC 9111 section 3.5).
const SHARED_CACHE_DIRECTIVES: [&str; 3] = ["public", "s-maxage", "must-revalidate"];

/// Whether a shared cache may keep a response with these headers: a token in it would be handed
/// to strangers (P9).
pub(super) fn is_shared_cacheable(headers: &HeaderMap) -> bool {
    SHARED_CACHE_HEADERS.iter().any(|name| headers.contains_key(name))
        || headers.get_all(CACHE_CONTROL).iter().any(|value| {
            value.as_bytes().split(|byte| *byte == b',').any(|directive| {
                let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default();
                let name = name.trim_ascii();
                SHARED_CACHE_DIRECTIVES.iter().any(|it| name.eq_ignore_ascii_case(it.as_bytes()))
            })
        })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

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
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            assert_eq!(is_shared_cacheable(&headers), expected, "{name}: {value}");
        }
    }

    #[test]
    fn p09_a_second_cache_control_line_counts() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("no-transform"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public"));
        assert!(is_shared_cacheable(&headers));
    }
}
