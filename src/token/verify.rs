//! Verification of presented tokens.

use std::{borrow::Cow, mem::MaybeUninit, sync::Arc};

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    cache::TokenCache,
    compact::Parts,
    error::InvalidToken,
    keys::{Fetcher, IssuerKeys, JwtKeys, KeySet, VerifyingKey},
    legacy::{Adopt, LegacyClaims, LegacyPayload, LegacyTokens},
    members::Members,
    payload::ParsedClaims,
    purpose::Purpose,
    verified::{KeyOrigin, VerifiedToken},
};
use crate::{
    clock::Clock,
    maybe_ready::MaybeReady,
    metrics,
    rejection::InvalidTokenReason::{
        self, Audience, Issuer, LegacyToken, Malformed, MalformedClaim, MalformedPayload,
        Signature, TooLong, UnknownKey,
    },
    rules::SessionClaims,
    time::Timestamp,
    transport::MAX_TOKEN,
};

/// The longest signature that is verified, in bytes: RSA with 4096 bits.
const MAX_SIGNATURE: usize = 512;

/// Verifies access tokens: signature, algorithm, key, `typ`, `iss`, `aud` and the form of the
/// claims. It does not check times, activity and revocation.
///
/// Verifying a token costs one signature check and one pass over the payload. A verified token is
/// [cached](Self::cached_tokens). Headers that contain a key or its address (`jwk`, `jku`, `x5u`)
/// are ignored; a token with `crit` is not valid (RFC 7515 section 4.1.11).
#[derive(Clone, Debug)]
pub struct TokenVerifier {
    keys: Arc<JwtKeys>,
    iss: Option<Box<str>>,
    aud: Option<Box<str>>,
    legacy: LegacyTokens,
    cache: Option<Arc<TokenCache>>,
    cached_tokens: usize,
}

impl TokenVerifier {
    /// How many verified tokens are cached by default.
    pub const DEFAULT_CACHED_TOKENS: usize = 1 << 14;

    /// A verifier with `keys` that requires no `iss` and rejects tokens with an `aud`: it is in no
    /// audience until one is set (RFC 7519 section 4.1.3).
    #[must_use]
    pub fn new(keys: Arc<JwtKeys>) -> Self {
        let verifier = Self {
            keys,
            iss: None,
            aud: None,
            legacy: LegacyTokens::Reject,
            cache: None,
            cached_tokens: 0,
        };
        verifier.cached_tokens(Self::DEFAULT_CACHED_TOKENS)
    }

    /// Requires that `iss` is `issuer`. Without it, tokens with any `iss` are valid, and a session
    /// is identified by `iss` and `sid`: revoking sessions by `sid`, user or account then applies
    /// to tokens without `iss` only.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.iss = Some(issuer.into().into());
        self.with_empty_cache()
    }

    /// Requires that `aud` is or contains `audience`.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.aud = Some(audience.into().into());
        self.with_empty_cache()
    }

    /// How to treat tokens without `sid` or `auth_time`; rejected by default.
    #[must_use]
    pub fn legacy(mut self, legacy: LegacyTokens) -> Self {
        self.legacy = legacy;
        self.with_empty_cache()
    }

    /// Caches about `tokens` verified tokens, rounded up to a power of two and at most 16,777,216,
    /// of at most 2 KiB each on average; 0 turns the cache off. Default: 16,384, which take at most
    /// 32 MiB. With room for twice the tokens in use, a token is rarely displaced.
    ///
    /// The cache holds tokens and their claims in memory until a token expires, others displace it,
    /// or the keys change. Invalid tokens are not cached. The result of checking the signature,
    /// `iss`, `aud`, the form of the claims and [`LegacyTokens`] is cached; times, revocation and
    /// activity are checked at each request. Clones of a verifier share a cache.
    #[must_use]
    pub fn cached_tokens(mut self, tokens: usize) -> Self {
        self.cached_tokens = tokens;
        self.with_empty_cache()
    }

    /// Removes all tokens from the cache.
    pub fn clear_cache(&self) {
        if let Some(cache) = &self.cache {
            cache.clear();
        }
    }

    /// A token that was verified under other settings may not be valid under these.
    fn with_empty_cache(mut self) -> Self {
        self.cache =
            (self.cached_tokens > 0).then(|| Arc::new(TokenCache::new(self.cached_tokens)));
        self
    }

    pub(crate) fn keys(&self) -> &Arc<JwtKeys> {
        &self.keys
    }

    /// Whether it adopts tokens of an earlier system.
    pub(crate) const fn adopts(&self) -> bool {
        self.legacy.adopts()
    }

    pub(crate) fn iss(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    pub(crate) fn aud(&self) -> Option<&str> {
        self.aud.as_deref()
    }

    /// Verifies `token`, or finds it in the cache. `now` does not decide whether it is valid: it
    /// only decides which cached tokens have expired and may be dropped.
    ///
    /// # Errors
    /// [`InvalidToken`] with the first check that failed. Never panics.
    #[inline]
    pub fn verify(
        &self,
        token: impl AsRef<[u8]>,
        now: Timestamp,
    ) -> Result<Arc<VerifiedToken>, InvalidToken> {
        let token = token.as_ref();
        if token.len() > MAX_TOKEN {
            return Err(TooLong.into());
        }
        let Some(cache) = &self.cache else {
            return self.verify_anew(token, Purpose::Access);
        };
        let found = cache.find(token, self.keys.generation());
        metrics::count_token_lookup(found.is_ok());
        let place = match found {
            Ok(verified) => return Ok(verified),
            Err(place) => place,
        };
        let verified = self.verify_anew(token, Purpose::Access)?;
        cache.insert(place, &verified, now);
        Ok(verified)
    }

    /// Fetches the keys of the issuer that `token` names, whose key is not known. `None` if it names
    /// none of the other issuers, or one without a way to [fetch](JwtKeys::on_unknown_kid) its keys.
    #[cold]
    pub(crate) fn fetch_keys(
        &self,
        token: &[u8],
        clock: &Arc<dyn Clock>,
    ) -> Option<MaybeReady<()>> {
        Some(self.fetcher(token)?.fetch(&self.keys, clock))
    }

    /// Whether [`fetch_keys`](Self::fetch_keys) would fetch keys for `token`.
    #[cold]
    pub(crate) fn can_fetch_keys(&self, token: &[u8]) -> bool {
        self.fetcher(token).is_some()
    }

    fn fetcher(&self, token: &[u8]) -> Option<Arc<Fetcher>> {
        let set = self.keys.current();
        let parts = Parts::new(token, None).filter(|_| set.has_issuers())?;
        self.issuer_of(&set, parts.body)?.fetcher().map(Arc::clone)
    }

    /// Verifies a refresh token, which has another `typ` (`rt+jwt`) and is never cached.
    pub(crate) fn verify_refresh(&self, token: &str) -> Result<Arc<VerifiedToken>, InvalidToken> {
        if token.len() > MAX_TOKEN {
            return Err(TooLong.into());
        }
        self.verify_anew(token.as_bytes(), Purpose::Refresh)
    }

    fn verify_anew(
        &self,
        token: &[u8],
        purpose: Purpose,
    ) -> Result<Arc<VerifiedToken>, InvalidToken> {
        let set = self.keys.current();
        let (Parts { signed, body, .. }, origin) = self.check_signature(&set, token, purpose)?;
        let is_cached = self.cache.is_some() && purpose == Purpose::Access;
        let kept = if is_cached { token } else { b"" };
        let mut text = Vec::with_capacity(body.len() * 3 / 4 + kept.len());
        URL_SAFE_NO_PAD.decode_append(body, &mut text).map_err(|_| Malformed)?;
        let payload_end = text.len();
        text.extend_from_slice(kept);
        let text = String::from_utf8(text).map_err(|_| MalformedPayload)?;
        self.read(signed, text.into_boxed_str(), payload_end, purpose, origin)
    }

    /// The parts of a token whose signature is that of a key of `set`, and whose key it is.
    #[inline(always)]
    pub(super) fn check_signature<'t>(
        &self,
        set: &KeySet,
        token: &'t [u8],
        purpose: Purpose,
    ) -> Result<(Parts<'t>, KeyOrigin), InvalidToken> {
        let parts = Parts::new(token, set.header(purpose)).ok_or(Malformed)?;
        let (key, origin) = self.find_key(set, &parts, purpose)?;
        let Parts { signed, signature, .. } = parts;
        let mut buffer = [MaybeUninit::uninit(); MAX_SIGNATURE];
        let room = buffer.get_mut(..URL_SAFE_NO_PAD.estimated_decoded_length(signature.len()));
        let room = room.ok_or(Signature)?;
        let signature = URL_SAFE_NO_PAD.decode(signature, room.as_out()).map_err(|_| Malformed)?;
        if !key.verify(signed, signature) {
            return Err(Signature.into());
        }
        Ok((parts, origin))
    }

    /// The key of a token, and whose it is. A token of another issuer is verified with
    /// the keys of that issuer only, and no token of another issuer with ours (P35).
    #[inline]
    fn find_key<'a>(
        &self,
        set: &'a KeySet,
        parts: &Parts<'_>,
        purpose: Purpose,
    ) -> Result<(&'a VerifyingKey, KeyOrigin), InvalidTokenReason> {
        if purpose != Purpose::Access && !set.signs() {
            return Err(UnknownKey);
        }
        if set.has_issuers()
            && purpose == Purpose::Access
            && let Some(keys) = self.issuer_of(set, parts.body)
        {
            return Ok((parts.find_key(keys.keys(), purpose)?, KeyOrigin::Issuer));
        }
        let key = match set.signing_key().filter(|_| parts.header.is_none()) {
            Some(key) => key,
            None => parts.find_key(set.own(), purpose)?,
        };
        Ok((key, if set.signs() { KeyOrigin::Own } else { KeyOrigin::VerifyOnly }))
    }

    /// The keys of the other issuer that a token names before it is verified.
    #[cold]
    fn issuer_of<'a>(&self, set: &'a KeySet, body: &[u8]) -> Option<&'a IssuerKeys> {
        let payload = URL_SAFE_NO_PAD.decode_to_vec(body).ok()?;
        let mut members = Members::new(str::from_utf8(&payload).ok()?).ok()?;
        while let Some(member) = members.next().ok()? {
            if member.name == "iss" {
                let iss = member.value.text().ok()?;
                return set.issuer(&iss).filter(|_| self.iss() != Some(&iss));
            }
        }
        None
    }

    #[inline]
    fn read(
        &self,
        signed: &[u8],
        text: Box<str>,
        payload_end: usize,
        purpose: Purpose,
        origin: KeyOrigin,
    ) -> Result<Arc<VerifiedToken>, InvalidToken> {
        let mut parsed = ParsedClaims::default();
        let read = parsed.read(&text[..payload_end]);
        let names_session = parsed.sid.is_some() && parsed.auth_time.is_some();
        if (read.is_err() || !names_session)
            && let Some(adopt) = self.legacy.function(purpose)
        {
            drop(parsed);
            return self.adopt(adopt, signed, text.split_at(payload_end), origin);
        }
        read?;
        let claims = self.session(&parsed, origin)?;
        let spans = std::mem::take(&mut parsed.spans);
        drop(parsed);
        let token = VerifiedToken::new(claims, text, payload_end, spans);
        Ok(Arc::new(token.with_key_origin(origin)))
    }

    /// The claims of a session of ours, or of another issuer in the same form.
    #[inline(always)]
    pub(super) fn session(
        &self,
        parsed: &ParsedClaims<'_>,
        origin: KeyOrigin,
    ) -> Result<SessionClaims, InvalidToken> {
        self.check_parties(parsed.iss.as_deref(), parsed.aud, origin)?;
        let (Some(sid), Some(auth_time)) = (&parsed.sid, parsed.auth_time) else {
            return Err(LegacyToken.into());
        };
        parsed.session(sid, auth_time)
    }

    /// Adopts a token that does not name a session as this crate writes it, if `adopt` says so: from
    /// then on it is read as a token of ours with the same claims.
    #[cold]
    fn adopt(
        &self,
        adopt: &Adopt,
        signed: &[u8],
        (payload, presented): (&str, &str),
        origin: KeyOrigin,
    ) -> Result<Arc<VerifiedToken>, InvalidToken> {
        let legacy = LegacyPayload::parse(payload)?;
        let own = if legacy.names_session() {
            // A claim is malformed: reading it as strictly as any token of ours says which.
            Cow::Borrowed(payload)
        } else {
            self.check_parties(legacy.iss()?.as_deref(), legacy.aud(), origin)?;
            let session = adopt(&LegacyClaims::new(&legacy)).ok_or(LegacyToken)?;
            Cow::Owned(legacy.adopted(&session, || digest_of(signed))?)
        };
        let mut parsed = ParsedClaims::parse(&own)?;
        let claims = self.session(&parsed, origin)?;
        let spans = std::mem::take(&mut parsed.spans);
        let text = [&*own, presented].concat().into_boxed_str();
        let token = VerifiedToken::new(claims, text, own.len(), spans).adopted();
        Ok(Arc::new(token.with_key_origin(origin)))
    }

    /// Checks `iss` and `aud`.
    #[inline(always)]
    fn check_parties(
        &self,
        iss: Option<&str>,
        aud: Option<&str>,
        origin: KeyOrigin,
    ) -> Result<(), InvalidToken> {
        // The keys of another issuer were found by its `iss`.
        if origin != KeyOrigin::Issuer && self.iss.is_some() && iss != self.iss.as_deref() {
            return Err(Issuer.into());
        }
        if !self.is_audience(aud)? {
            return Err(Audience.into());
        }
        Ok(())
    }

    fn is_audience(&self, aud: Option<&str>) -> Result<bool, InvalidToken> {
        let Some(aud) = aud else { return Ok(self.aud.is_none()) };
        let named: Audiences = serde_json::from_str(aud).map_err(|_| MalformedClaim("aud"))?;
        let Some(own) = &self.aud else { return Ok(false) };
        Ok(match named {
            Audiences::One(name) => *name == **own,
            Audiences::Several(several) => several.iter().any(|name| **name == **own),
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

fn digest_of(signed: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(&Sha256::digest(signed)[..16])
}

#[cfg(test)]
mod tests;
