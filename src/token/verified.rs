//! A verified token.

use std::{fmt, sync::OnceLock};

use super::{
    error::InvalidToken,
    payload::{ParsedClaims, Spans},
};
use crate::{
    audit::{AuditQueue, AuditSubject},
    identity::{Scopes, SessionKeys, StoreKey},
    rejection::InvalidTokenReason,
    rules::{MintedBy, SessionClaims},
    time::Timestamp,
};

/// Whose key verifies a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyOrigin {
    /// Ours, in a set that signs.
    Own,
    /// One of a set that verifies only.
    VerifyOnly,
    /// That of another issuer.
    Issuer,
}

/// A token whose signature, key and form were verified: its claims, its payload and, if it is
/// cached, its bytes.
///
/// `Debug` shows times only.
pub struct VerifiedToken {
    /// The payload, followed by the token as it was presented if it is cached.
    text: Box<str>,
    /// Where the payload ends.
    payload_end: usize,
    claims: SessionClaims,
    pub(super) spans: Spans,
    is_adopted: bool,
    is_foreign: bool,
    keys: SessionKeys,
    scopes: OnceLock<Scopes>,
}

impl VerifiedToken {
    /// A token that the application verified, with `payload` as its claims in JSON.
    pub(crate) fn trusted(
        sub: &str,
        sid: &str,
        auth_time: Timestamp,
        payload: &str,
    ) -> Result<Self, InvalidToken> {
        let mut parsed = ParsedClaims::parse(payload)?;
        parsed.sub = Some(sub.into());
        let claims = parsed.session(sid, auth_time)?;
        Ok(Self::new(claims, payload.into(), payload.len(), parsed.spans))
    }

    /// A token with `payload` as its claims in JSON, without any verification: for tests of a
    /// [`ClaimsSource`](super::ClaimsSource). Whoever passes it what a client sent lets the client
    /// claim anything.
    ///
    /// # Errors
    /// [`InvalidToken`] if a claim is malformed or `sub`, `sid`, `auth_time`, `iat` or `exp` is
    /// missing.
    ///
    /// ```
    /// use tower_sliding_session::token::VerifiedToken;
    ///
    /// let payload = r#"{"sub":"ada","sid":"s1","auth_time":1,"iat":1,"exp":2,"role":"admin"}"#;
    /// let token = VerifiedToken::dangerous_from_payload(payload)?;
    /// assert_eq!(&*token.claims().sub, "ada");
    /// assert_eq!(token.payload(), payload);
    /// # Ok::<(), tower_sliding_session::token::InvalidToken>(())
    /// ```
    pub fn dangerous_from_payload(payload: &str) -> Result<Self, InvalidToken> {
        let parsed = ParsedClaims::parse(payload)?;
        let missing = |claim| InvalidToken::new(InvalidTokenReason::MissingClaim(claim));
        let sid = parsed.sid.as_ref().ok_or(missing("sid"))?;
        let auth_time = parsed.auth_time.ok_or(missing("auth_time"))?;
        let claims = parsed.session(sid, auth_time)?;
        Ok(Self::new(claims, payload.into(), payload.len(), parsed.spans))
    }

    /// A token that the application verified, without a payload.
    pub(crate) fn bare(claims: SessionClaims) -> Self {
        Self::new(claims, "{}".into(), 2, Spans::default())
    }

    #[inline]
    pub(super) fn new(
        claims: SessionClaims,
        text: Box<str>,
        payload_end: usize,
        spans: Spans,
    ) -> Self {
        let SessionClaims { iss, tenant, sub, sid, .. } = &claims;
        let keys = SessionKeys::new(
            StoreKey::session(iss.as_deref(), sid),
            StoreKey::user(iss.as_deref(), tenant.as_deref(), sub),
        );
        Self {
            text,
            payload_end,
            claims,
            spans,
            is_adopted: false,
            is_foreign: false,
            keys,
            scopes: OnceLock::new(),
        }
    }

    /// What is known of the token of an open stream: neither its payload nor the names in it.
    pub(crate) fn of_open_session(
        claims: SessionClaims,
        session: StoreKey,
        scopes: Scopes,
    ) -> Self {
        Self {
            is_adopted: claims.minted_by == MintedBy::EarlierSystem,
            is_foreign: claims.minted_by == MintedBy::OtherIssuer,
            text: Box::default(),
            payload_end: 0,
            claims,
            spans: Spans::default(),
            keys: SessionKeys::new(session, scopes.user),
            scopes: scopes.into(),
        }
    }

    pub(super) fn with_key_origin(mut self, origin: KeyOrigin) -> Self {
        self.is_foreign = origin != KeyOrigin::Own;
        self.claims.minted_by = match (self.is_foreign, self.is_adopted) {
            (true, _) => MintedBy::OtherIssuer,
            (false, true) => MintedBy::EarlierSystem,
            (false, false) => MintedBy::ThisCrate,
        };
        if self.is_foreign {
            // A number of this store says nothing in a claim of another issuer.
            self.claims.claims_at = None;
        }
        self
    }

    /// The same token with another payload, which says the same but for the application's claims and
    /// `claims_at`.
    pub(super) fn with_payload(&self, payload: String, claims_at: Option<Timestamp>) -> Self {
        let parsed = ParsedClaims::parse(&payload);
        let spans = parsed.expect("the payload of a verified token is well-formed").spans;
        Self {
            payload_end: payload.len(),
            text: payload.into(),
            claims: SessionClaims { claims_at, ..self.claims.clone() },
            spans,
            is_adopted: self.is_adopted,
            is_foreign: self.is_foreign,
            keys: self.keys,
            scopes: self.scopes.clone(),
        }
    }

    pub(super) fn adopted(mut self) -> Self {
        self.is_adopted = true;
        self
    }

    /// Whether it was verified with a key that is none of ours: it is never renewed (P35).
    pub(crate) const fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// The memory that it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let SessionClaims { sub, sid, iss, tenant, session_profile, .. } = &self.claims;
        let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let optional = length(iss) + length(tenant) + length(session_profile);
        size_of::<Self>() + self.text.len() + sub.len() + sid.len() + optional
    }

    /// Whether it can have a successor: its payload contains its times.
    pub(crate) fn is_renewable(&self) -> bool {
        !self.spans.iat.is_empty() && !self.spans.exp.is_empty()
    }

    /// The claims of the session.
    #[must_use]
    pub const fn claims(&self) -> &SessionClaims {
        &self.claims
    }

    /// The signed payload: all claims, in JSON. Of an [adopted](super::LegacyTokens::adopt) token with
    /// the claims of this crate.
    #[must_use]
    pub fn payload(&self) -> &str {
        &self.text[..self.payload_end]
    }

    /// The token as it was presented if it is cached, else nothing.
    #[inline]
    pub(super) fn presented(&self) -> &[u8] {
        &self.text.as_bytes()[self.payload_end..]
    }

    /// Whether it is a legacy token that was adopted.
    pub(crate) const fn is_adopted(&self) -> bool {
        self.is_adopted
    }

    /// The key of its session in a store.
    #[must_use]
    pub const fn session_key(&self) -> StoreKey {
        self.keys.session
    }

    /// The keys of its session and its user in a store.
    #[must_use]
    pub const fn keys(&self) -> SessionKeys {
        self.keys
    }

    /// The scopes by which its session can be revoked. Computed at the first call.
    pub fn scopes(&self) -> &Scopes {
        self.scopes.get_or_init(|| {
            let SessionClaims { iss, tenant, sub, .. } = &self.claims;
            Scopes::of_user(self.keys.user, iss.as_deref(), tenant.as_deref(), sub)
        })
    }

    /// Returns the subject of an audit record about this token; with the plain `sub` if
    /// `audit_queue` keeps it.
    pub(crate) fn audit_subject(&self, audit_queue: Option<&AuditQueue>) -> AuditSubject {
        let sub = audit_queue.filter(|_| !self.claims.sub.is_empty());
        let sub = sub.and_then(|queue| queue.plain_subject(&self.claims.sub));
        AuditSubject::from_session(self.keys.session, self.scopes()).with_sub(sub)
    }

    /// The key of its user in a store.
    #[must_use]
    pub const fn user_key(&self) -> StoreKey {
        self.keys.user
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifiedToken").field(&self.claims).finish()
    }
}
