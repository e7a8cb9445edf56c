//! The query parameter `ticket`.

use http::{Uri, uri::PathAndQuery};

use crate::rejection::InvalidTokenReason;

const NAME: &str = "ticket";

/// The ticket in the query of `uri`; `None` without a parameter `ticket`. The name and the value are
/// read as they are written: a ticket contains no character that needs an escape.
pub(crate) fn presented_ticket(uri: &Uri) -> Option<Result<&str, InvalidTokenReason>> {
    let mut values = uri.query()?.split('&').filter_map(value);
    let first = values.next()?;
    Some(match values.next() {
        Some(_) => Err(InvalidTokenReason::SeveralTokens),
        None if first.is_empty() => Err(InvalidTokenReason::NoToken),
        None => Ok(first),
    })
}

/// Removes the ticket from the query of `uri`; the other parameters stay as they are. Returns whether
/// there was one.
pub(crate) fn remove_ticket(uri: &mut Uri) -> bool {
    if presented_ticket(uri).is_none() {
        return false;
    }
    let mut rest = uri.path().to_owned();
    let others = uri.query().unwrap_or_default().split('&').filter(|it| value(it).is_none());
    for (index, other) in others.enumerate() {
        rest.push(if index == 0 { '?' } else { '&' });
        rest.push_str(other);
    }
    let mut parts = uri.clone().into_parts();
    // A part of what was a path and a query is one.
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    *uri = Uri::from_parts(parts).unwrap_or_default();
    true
}

/// The value of a parameter `ticket`.
fn value(parameter: &str) -> Option<&str> {
    match parameter.strip_prefix(NAME)? {
        "" => Some(""),
        rest => rest.strip_prefix('='),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p38_the_parameter_is_read_and_removed_and_the_others_stay() {
        use InvalidTokenReason::{NoToken, SeveralTokens};
        for (uri, found, left) in [
            ("/events", None, "/events"),
            ("/events?", None, "/events?"),
            ("/events?a=1&a=2", None, "/events?a=1&a=2"),
            ("/events?ticket=a.b.c", Some(Ok("a.b.c")), "/events"),
            ("/events?x=%20+%2f&ticket=a&&y", Some(Ok("a")), "/events?x=%20+%2f&&y"),
            ("/events?ticket=a&x=1", Some(Ok("a")), "/events?x=1"),
            ("/events?x&ticket=a&", Some(Ok("a")), "/events?x&"),
            ("/events?ticket=a%2Eb", Some(Ok("a%2Eb")), "/events"),
            ("/events?ticket=a=b", Some(Ok("a=b")), "/events"),
            ("/events?ticket=", Some(Err(NoToken)), "/events"),
            ("/events?ticket", Some(Err(NoToken)), "/events"),
            ("/events?ticket=a&ticket=a", Some(Err(SeveralTokens)), "/events"),
            ("/events?ticket=a&x&ticket", Some(Err(SeveralTokens)), "/events?x"),
            ("/events?tickets=a", None, "/events?tickets=a"),
            ("/events?Ticket=a", None, "/events?Ticket=a"),
            ("/events?%74icket=a", None, "/events?%74icket=a"),
            ("/events?xticket=a;ticket=b", None, "/events?xticket=a;ticket=b"),
            ("https://a.example/b?ticket=c&d", Some(Ok("c")), "https://a.example/b?d"),
            ("https://a.example?ticket=c", Some(Ok("c")), "https://a.example/"),
        ] {
            let mut parsed: Uri = uri.parse().expect("a URI");
            assert_eq!(presented_ticket(&parsed), found, "{uri}");
            assert_eq!(remove_ticket(&mut parsed), found.is_some(), "{uri}");
            assert_eq!(parsed, left.parse::<Uri>().expect("a URI"), "{uri}");
        }
    }
}
