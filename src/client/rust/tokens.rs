//! The tokens that a client holds.

use std::{fmt, sync::Arc};

use http::HeaderValue;

use super::unverified_claims::UnverifiedClaims;
use crate::{lifecycle::Grant, transport::is_token_byte};

/// The access token of a session and its refresh token, if it has one. A clone costs two reference
/// counts; `Debug` hides both.
#[derive(Clone)]
pub struct Tokens {
    access: Arc<AccessToken>,
    refresh: Option<Arc<str>>,
}

struct AccessToken {
    text: String,
    authorization: HeaderValue,
    claims: Option<UnverifiedClaims>,
}

impl Tokens {
    /// An access token without a refresh token.
    ///
    /// # Errors
    /// A token that is empty or has other characters than RFC 6750 section 2.1 allows.
    pub fn new(access_token: impl Into<String>) -> Result<Self, InvalidAccessToken> {
        let text = access_token.into();
        let is_valid = !text.is_empty() && text.bytes().all(is_token_byte);
        let authorization = HeaderValue::try_from(format!("Bearer {text}"));
        let (true, Ok(mut authorization)) = (is_valid, authorization) else {
            return Err(InvalidAccessToken);
        };
        authorization.set_sensitive(true);
        let claims = UnverifiedClaims::read(&text);
        Ok(Self { access: Arc::new(AccessToken { text, authorization, claims }), refresh: None })
    }

    /// The same access token with this refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        self.refresh = Some(refresh_token.into().into());
        self
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.access.text
    }

    /// The refresh token.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.refresh.as_deref()
    }

    /// The value of `Authorization`.
    pub(super) fn authorization(&self) -> HeaderValue {
        self.access.authorization.clone()
    }

    pub(super) fn has_access_token_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.access, &other.access) || self.access.text == other.access.text
    }

    /// Whether both are of one session, as far as the tokens say.
    pub(super) fn is_of_session_of(&self, other: &Self) -> bool {
        let claims = (&self.access.claims, &other.access.claims);
        self.has_access_token_of(other)
            || matches!(claims, (Some(held), Some(other)) if held.is_of_session_of(other))
    }

    /// The tokens after a response to a request with `sent` carried the access token `renewed`;
    /// `None` if it is of another session, or not newer than this one (P8). If neither is newer, it is the
    /// successor if the request was sent with this one.
    pub(super) fn renewed_by(&self, renewed: &Self, sent: &Self) -> Option<Self> {
        let renewed_claims = renewed.access.claims.as_ref()?;
        let is_successor = match &self.access.claims {
            Some(claims) if claims.has_sid() => {
                renewed_claims.is_of_session_of(claims)
                    && (renewed_claims.is_newer_than(claims)
                        || renewed_claims.is_coeval_with(claims) && self.has_access_token_of(sent))
            }
            // A token from before sessions had ids: the server has adopted it.
            _ => self.has_access_token_of(sent) && !self.has_access_token_of(renewed),
        };
        let access = || Arc::clone(&renewed.access);
        is_successor.then(|| Self { access: access(), refresh: self.refresh.clone() })
    }

    /// The tokens after the refresh token of `exchanged` was exchanged for `refreshed`; `None` if
    /// this is not what was exchanged: the user has signed in again meanwhile.
    pub(super) fn refreshed_by(&self, refreshed: Self, exchanged: &Self) -> Option<Self> {
        let is_exchanged = self.refresh.is_some() && self.refresh == exchanged.refresh;
        let is_other_session = match (&self.access.claims, &refreshed.access.claims) {
            (Some(held), Some(new)) => held.has_sid() && !new.is_of_session_of(held),
            _ => false,
        };
        if !is_exchanged || is_other_session {
            return None;
        }
        // A response may have brought a newer access token meanwhile.
        let access = match (&self.access.claims, &refreshed.access.claims) {
            (Some(held), Some(new)) if held.is_newer_than(new) => Arc::clone(&self.access),
            _ => refreshed.access,
        };
        // RFC 6749 section 6: without a new refresh token the old one goes on.
        Some(Self { access, refresh: refreshed.refresh.or_else(|| self.refresh.clone()) })
    }

    /// Whether a request that was sent with `sent` may be repeated with these tokens: they are of the
    /// same session, or of the same user, who has signed in again.
    pub(super) fn may_repeat(&self, sent: &Self) -> bool {
        let (Some(held), Some(sent)) = (&self.access.claims, &sent.access.claims) else {
            return false;
        };
        held.is_of_session_of(sent) || held.is_of_user_of(sent)
    }

    pub(super) fn has_refresh_token_of(&self, other: &Self) -> bool {
        self.refresh.is_some() && self.refresh == other.refresh
    }

    pub(super) fn shared_refresh_token(&self) -> Option<Arc<str>> {
        self.refresh.clone()
    }
}

impl From<&Grant> for Tokens {
    fn from(grant: &Grant) -> Self {
        let tokens = Self::new(grant.access_token()).expect("a grant has a valid access token");
        match grant.refresh_token() {
            Some(token) => tokens.with_refresh_token(token),
            None => tokens,
        }
    }
}

impl From<Grant> for Tokens {
    fn from(grant: Grant) -> Self {
        (&grant).into()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_refresh_token = self.refresh.is_some();
        f.debug_struct("Tokens")
            .field("has_refresh_token", &has_refresh_token)
            .finish_non_exhaustive()
    }
}

/// The access token is empty, or has characters that no token has (RFC 6750 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAccessToken;

impl fmt::Display for InvalidAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the access token does not consist of the characters of RFC 6750 section 2.1")
    }
}

impl std::error::Error for InvalidAccessToken {}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    /// Tokens of the session `sid`.
    fn tokens(sid: &str, iat: u64, refresh: &str) -> Tokens {
        tokens_with_id(sid, iat, "1", refresh)
    }

    fn tokens_with_id(sid: &str, iat: u64, jti: &str, refresh: &str) -> Tokens {
        let exp = iat + 9;
        let claims =
            format!(r#"{{"sid":"{sid}","sub":"ada","iat":{iat},"exp":{exp},"jti":"{jti}"}}"#);
        let text = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        Tokens::new(text).expect("its characters are allowed").with_refresh_token(refresh)
    }

    /// The application has refreshed by itself meanwhile, or has signed in again.
    #[test]
    fn p07_the_answer_to_an_exchange_replaces_what_was_exchanged_only() {
        let exchanged = tokens("a", 1, "first");
        let refreshed = || tokens("a", 2, "second");
        let of = |held: &Tokens| held.refreshed_by(refreshed(), &exchanged);
        let taken = of(&exchanged).expect("a successor");
        assert_eq!(taken.refresh_token(), Some("second"));
        assert!(taken.has_access_token_of(&refreshed()));
        for held in [tokens("a", 3, "third"), tokens("b", 1, "first"), tokens("b", 1, "other")] {
            assert!(of(&held).is_none(), "{:?}", held.refresh_token());
        }
        let without = Tokens::new("a.b.c").expect("its characters are allowed");
        assert!(without.refreshed_by(refreshed(), &without).is_none(), "nothing was exchanged");
        // A response has brought a newer access token of the same session.
        let renewed = tokens("a", 5, "first");
        let taken = of(&renewed).expect("a successor");
        assert!(taken.has_access_token_of(&renewed));
        assert_eq!(taken.refresh_token(), Some("second"));
    }

    /// A handler has replaced the claims in the second in which the token was minted.
    #[test]
    fn p08_of_two_tokens_of_one_second_the_answer_to_the_other_is_the_successor() {
        let [first, second, third] = ["1", "2", "3"].map(|jti| tokens_with_id("a", 1, jti, "r"));
        let taken = first.renewed_by(&second, &first).expect("a successor");
        assert!(taken.has_access_token_of(&second));
        for (renewed, sent) in [
            (&third, &first),
            (&second, &second),
            (&tokens_with_id("b", 1, "3", "r"), &second),
            (&tokens("a", 0, "r"), &second),
        ] {
            assert!(second.renewed_by(renewed, sent).is_none(), "{:?}", renewed.access.claims);
        }
    }
}
