//! A ticket: the claims of an access token, and the one request that they are good for.

use std::{borrow::Cow, sync::Arc};

use base64_simd::URL_SAFE_NO_PAD;
use http::Method;

use super::{
    compact::Parts,
    error::InvalidToken,
    members::Members,
    mint::push_member,
    payload::{ParsedClaims, name, seconds},
    purpose::Purpose,
    verified::VerifiedToken,
    verify::TokenVerifier,
};
use crate::{rejection::InvalidTokenReason, time::Timestamp, transport::MAX_TOKEN};

/// The claims of a ticket. Those of the access token are one member, so that a service that does not
/// check `typ` finds no `sub` in it.
pub(super) struct TicketPayload<'a> {
    id: Cow<'a, str>,
    exp: Timestamp,
    method: Cow<'a, str>,
    path: Cow<'a, str>,
    pub(super) is_adopted: bool,
    /// The payload of the access token.
    pub(super) access: &'a str,
}

impl TokenVerifier {
    /// Verifies a ticket, which has another `typ` (`tk+jwt`) and is never cached. Says nothing about
    /// whether it has expired or was used.
    pub(crate) fn verify_ticket(&self, ticket: &[u8]) -> Result<VerifiedTicket, InvalidToken> {
        if ticket.len() > MAX_TOKEN {
            return Err(InvalidTokenReason::TooLong.into());
        }
        let set = self.keys().current();
        let (Parts { body, .. }, origin) = self.check_signature(&set, ticket, Purpose::Ticket)?;
        let payload =
            URL_SAFE_NO_PAD.decode_to_vec(body).map_err(|_| InvalidTokenReason::Malformed)?;
        let payload = str::from_utf8(&payload).map_err(|_| InvalidTokenReason::MalformedPayload)?;
        let ticket = TicketPayload::parse(payload)?;
        let parsed = ParsedClaims::parse(ticket.access)?;
        let claims = self.session(&parsed, origin)?;
        let (text, end) = (Box::from(ticket.access), ticket.access.len());
        let token = VerifiedToken::new(claims, text, end, parsed.spans);
        let token = if ticket.is_adopted { token.adopted() } else { token };
        Ok(ticket.with_token(Arc::new(token.with_key_origin(origin))))
    }
}

/// A ticket whose signature, key and form were verified.
pub(crate) struct VerifiedTicket {
    /// The token that it was made with, of the same claims.
    pub(crate) token: Arc<VerifiedToken>,
    /// Its `jti`.
    pub(crate) id: Box<str>,
    exp: Timestamp,
    method: Box<str>,
    path: Box<str>,
}

impl VerifiedTicket {
    /// Whether it is for a request with this method and path, which are compared as they are written.
    pub(crate) fn is_for(&self, method: &Method, path: &str) -> bool {
        *self.method == *method.as_str() && *self.path == *path
    }

    /// Whether it has expired, to the second: the store tells to the millisecond.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.exp
    }
}

impl<'a> TicketPayload<'a> {
    pub(super) fn parse(payload: &'a str) -> Result<Self, InvalidToken> {
        let mut members = Members::new(payload)?;
        let (mut id, mut exp, mut method, mut path, mut access) = (None, None, None, None, None);
        let mut is_adopted = false;
        while let Some(member) = members.next()? {
            let value = member.value;
            match &*member.name {
                "jti" => id = Some(name(value)?),
                "exp" => exp = Some(seconds(value)?),
                "htm" => method = Some(name(value)?),
                "path" => path = Some(name(value)?),
                "adopted" => is_adopted = value.json() == "true",
                "access" => access = Some(value.json()),
                _ => {}
            }
        }
        let missing = |claim| InvalidToken::new(InvalidTokenReason::MissingClaim(claim));
        Ok(Self {
            id: id.ok_or(missing("jti"))?,
            exp: exp.ok_or(missing("exp"))?,
            method: method.ok_or(missing("htm"))?,
            path: path.ok_or(missing("path"))?,
            is_adopted,
            access: access.ok_or(missing("access"))?,
        })
    }

    pub(super) fn with_token(self, token: Arc<VerifiedToken>) -> VerifiedTicket {
        let Self { id, exp, method, path, .. } = self;
        let (id, method, path) = (Box::from(&*id), Box::from(&*method), Box::from(&*path));
        VerifiedTicket { token, id, exp, method, path }
    }
}

/// The payload of a ticket with the claims of `token`, for one request with `method` and `path`. It
/// expires at `until`, rounded up to the second.
pub(crate) fn ticket_payload(
    token: &VerifiedToken,
    id: &str,
    until: Timestamp,
    method: &Method,
    path: &str,
) -> String {
    let mut members = String::with_capacity(token.payload().len() + path.len() + 128);
    push_member(&mut members, "jti", id);
    push_member(&mut members, "exp", &until.as_millis().div_ceil(1000));
    push_member(&mut members, "htm", method.as_str());
    push_member(&mut members, "path", path);
    if token.is_adopted() {
        push_member(&mut members, "adopted", &true);
    }
    format!("{{{members},\"access\":{}}}", token.payload())
}

/// Whether a ticket can be made with `token`: it is one of ours, and its payload names its session.
pub(crate) fn can_have_ticket(token: &VerifiedToken) -> bool {
    !token.is_foreign() && VerifiedToken::dangerous_from_payload(token.payload()).is_ok()
}
