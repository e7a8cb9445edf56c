//! The cookies in the `Cookie` headers of a request.

use http::{HeaderMap, header::COOKIE};

/// The values of the cookies `name`.
pub(super) fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers.get_all(COOKIE).into_iter();
    let pairs = pairs.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs
        .filter_map(move |pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Whether a request carries a cookie `name`.
pub(super) fn is_carried(headers: &HeaderMap, name: &str) -> bool {
    values(headers, name).next().is_some()
}
