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
    let mut cookies = cookie_header::cookies(headers, name.as_bytes());
    match (cookies.next(), cookies.next()) {
        (None, _) => PresentedToken::None,
        (Some((_, token)), None) => PresentedToken::from_bytes(token),
        (Some((name, _)), Some(_)) => read_several(headers, name),
    }
}

#[cold]
fn read_several<'a>(headers: &'a HeaderMap, name: &'a [u8]) -> PresentedToken<'a> {
    let several = SeveralTokens::new(headers, name);
    match several.to_vec()[..] {
        [] => PresentedToken::Unreadable(InvalidTokenReason::NoToken),
        [token] => PresentedToken::One(token),
        _ => PresentedToken::Several(several),
    }
}
