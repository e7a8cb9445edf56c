//! The session cookie as a transport.

use http::{HeaderMap, header::COOKIE};

use super::{
    cookie::SessionCookie,
    cookie_header,
    several_tokens::SeveralTokens,
    transport::{PresentedToken, TokenOrigin, Transport, mark_sensitive_if},
};
use crate::{rejection::InvalidTokenReason, request_class::RequestHead};

impl Transport for SessionCookie {
    fn read<'a>(&self, head: RequestHead<'a>) -> PresentedToken<'a> {
        for name in self.names() {
            let found = read(head.headers(), name);
            if !matches!(found, PresentedToken::None) {
                return found;
            }
        }
        PresentedToken::None
    }

    fn mark_sensitive(&self, headers: &mut HeaderMap) {
        mark_sensitive_if(headers, |name| *name == COOKIE);
    }

    fn origin(&self) -> TokenOrigin {
        TokenOrigin::Cookie
    }

    fn cookie(&self) -> Option<&SessionCookie> {
        Some(self)
    }
}

/// The token in the cookie `name`, or the tokens if there are several of this name.
fn read<'a>(headers: &'a HeaderMap, name: &str) -> PresentedToken<'a> {
    let mut values = cookie_header::values(headers, name);
    match (values.next(), values.next()) {
        (None, _) => PresentedToken::None,
        (Some(token), None) => PresentedToken::from_bytes(token),
        (Some(_), Some(_)) => read_several(headers, name),
    }
}

#[cold]
fn read_several<'a>(headers: &'a HeaderMap, name: &str) -> PresentedToken<'a> {
    let mut several = SeveralTokens::new();
    let values = cookie_header::values(headers, name);
    values.filter(|token| !token.is_empty()).for_each(|token| several.add(token));
    match several.as_slice() {
        [] => PresentedToken::Unreadable(InvalidTokenReason::NoToken),
        [token] => PresentedToken::One(token),
        _ => PresentedToken::Several(several),
    }
}
