//! The cookies in the `Cookie` headers of a request.

use http::{HeaderMap, header::COOKIE};

/// The cookies `name`: the name as it stands in the request, and the value.
pub(super) fn cookies<'a>(
    headers: &'a HeaderMap,
    name: &[u8],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let pairs = headers.get_all(COOKIE).into_iter();
    let pairs = pairs.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
        Some((&pair[..name.len()], value))
    })
}

/// Whether a request carries a cookie `name`.
pub(super) fn is_carried(headers: &HeaderMap, name: &str) -> bool {
    cookies(headers, name.as_bytes()).next().is_some()
}
