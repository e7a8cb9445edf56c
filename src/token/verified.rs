//! What a verification comes to.

use std::fmt;

use super::{
    payload::{ParsedClaims, Spans, Text},
    verify::InvalidToken,
};
use crate::{
    rules::{SessionClaims, Timestamp},
    store::Key,
};

/// Which of a session's two names an adopted token lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adopted {
    pub(super) sid: bool,
    pub(super) auth_time: bool,
}

/// A token whose signature, key and form were checked: its claims and its payload.
///
/// `Debug` shows times only.
pub struct VerifiedToken {
    payload: Box<str>,
    claims: SessionClaims,
    pub(super) spans: Spans,
    pub(super) adopted: Option<Adopted>,
    session_key: Key,
}

impl VerifiedToken {
    /// A token that somebody else verified, with `payload` as its claims in JSON.
    pub(crate) fn trusted(
        sub: &str,
        sid: &str,
        auth_time: Timestamp,
        payload: &str,
    ) -> Result<Self, InvalidToken> {
        let mut parsed = ParsedClaims::parse(payload)?;
        parsed.sub = Some(Text(sub.into()));
        let spans = parsed.spans(payload)?;
        let claims = parsed.session(sid, auth_time)?;
        Ok(Self::of(claims, payload.into(), spans, None))
    }

    /// A token that somebody else verified and of which nothing more is known.
    pub(crate) fn bare(claims: SessionClaims) -> Self {
        Self::of(claims, "{}".into(), Spans::default(), None)
    }

    #[inline]
    pub(super) fn of(
        claims: SessionClaims,
        payload: Box<str>,
        spans: Spans,
        adopted: Option<Adopted>,
    ) -> Self {
        let session_key = Key::session(claims.iss.as_deref(), &claims.sid);
        Self { payload, claims, spans, adopted, session_key }
    }

    /// How much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let SessionClaims { sub, sid, iss, tenant, session_profile, .. } = &self.claims;
        let optional = [iss, tenant, session_profile].into_iter().flatten();
        let texts = [sub, sid, &self.payload].into_iter().chain(optional);
        size_of::<Self>() + texts.map(|text| text.len()).sum::<usize>()
    }

    /// Whether a successor can be made of it: its times stand in its payload.
    pub(crate) fn is_renewable(&self) -> bool {
        !self.spans.iat.is_empty() && !self.spans.exp.is_empty()
    }

    /// The claims of the session.
    #[must_use]
    pub const fn claims(&self) -> &SessionClaims {
        &self.claims
    }

    /// All claims as they were signed, in JSON.
    #[must_use]
    pub const fn payload(&self) -> &str {
        &self.payload
    }

    /// What the session is stored under.
    #[must_use]
    pub const fn session_key(&self) -> Key {
        self.session_key
    }

    /// What its user is stored under; computed at each call, for only renewals ask.
    #[must_use]
    pub fn user_key(&self) -> Key {
        let claims = &self.claims;
        Key::user(claims.iss.as_deref(), claims.tenant.as_deref(), &claims.sub)
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(&self.claims).finish()
    }
}
