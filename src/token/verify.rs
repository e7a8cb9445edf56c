//! Verification of presented tokens.

use std::{mem::MaybeUninit, sync::Arc};

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};
use memchr::{memchr, memrchr};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use sha2::{Digest, Sha256};

use super::{
    cache::TokenCache,
    error::InvalidToken,
    keys::{Fetcher, IssuerKeys, JwtKeys, KeySet, VerifyingKey, find_key},
    legacy::LegacyTokens,
    members::Members,
    payload::ParsedClaims,
    purpose::Purpose,
    verified::{Adopted, KeyOrigin, VerifiedToken},
};
use crate::{
    clock::Clock,
    maybe_ready::MaybeReady,
    rejection::InvalidTokenReason::{
        self, Algorithm, Audience, CriticalHeader, Issuer, LegacyToken, Malformed, MalformedClaim,
        MalformedHeader, MalformedPayload, MissingClaim, Signature, TooLong, Type, UnknownKey,
    },
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
        let place = match cache.find(token, self.keys.generation()) {
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
        let parts = Parts::new(token, set.header(purpose)).ok_or(Malformed)?;
        let (key, origin) = self.find_key(&set, &parts, purpose)?;
        let Parts { signed, body, signature, .. } = parts;
        let mut buffer = [MaybeUninit::uninit(); MAX_SIGNATURE];
        let room = buffer.get_mut(..URL_SAFE_NO_PAD.estimated_decoded_length(signature.len()));
        let room = room.ok_or(Signature)?;
        let signature = URL_SAFE_NO_PAD.decode(signature, room.as_out()).map_err(|_| Malformed)?;
        if !key.verify(signed, signature) {
            return Err(Signature.into());
        }
        let is_cached = self.cache.is_some() && purpose == Purpose::Access;
        let kept = if is_cached { token } else { b"" };
        let mut text = Vec::with_capacity(body.len() * 3 / 4 + kept.len());
        URL_SAFE_NO_PAD.decode_append(body, &mut text).map_err(|_| Malformed)?;
        let payload_end = text.len();
        text.extend_from_slice(kept);
        let text = String::from_utf8(text).map_err(|_| MalformedPayload)?;
        self.read(signed, text.into_boxed_str(), payload_end, purpose, origin)
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
        if purpose == Purpose::Refresh && !set.signs() {
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
        let payload = &text[..payload_end];
        let mut parsed = ParsedClaims::default();
        parsed.read(payload)?;
        // The keys of another issuer were found by its `iss`.
        if origin != KeyOrigin::Issuer
            && self.iss.is_some()
            && parsed.iss.as_deref() != self.iss.as_deref()
        {
            return Err(Issuer.into());
        }
        if !self.is_audience(parsed.aud)? {
            return Err(Audience.into());
        }
        let adopted = Adopted { sid: parsed.sid.is_none(), auth_time: parsed.auth_time.is_none() };
        let adopted = (adopted.sid || adopted.auth_time).then_some(adopted);
        if adopted.is_some() && !self.legacy.accepts(payload, purpose) {
            return Err(LegacyToken.into());
        }
        let auth_time = parsed.auth_time.or(parsed.iat).ok_or(MissingClaim("iat"))?;
        let claims = match parsed.sid.as_deref() {
            Some(sid) => parsed.session(sid, auth_time)?,
            None => parsed.session(&digest_of(signed), auth_time)?,
        };
        let spans = std::mem::take(&mut parsed.spans);
        drop(parsed);
        let token = VerifiedToken::new(claims, text, payload_end, spans, adopted);
        Ok(Arc::new(token.with_key_origin(origin)))
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

/// The parts of a token in compact form (RFC 7515 section 3.1).
struct Parts<'a> {
    /// Header and body with the dot between them.
    signed: &'a [u8],
    /// `None` if it is the header of the tokens that this set signs.
    header: Option<&'a [u8]>,
    body: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Searches the signature from the end, and skips a header of ours without a search. A fourth
    /// part ends up in the body, whose decoding fails.
    fn new(token: &'a [u8], own_header: Option<&str>) -> Option<Self> {
        let end = memrchr(b'.', token)?;
        let (signed, signature) = (&token[..end], &token[end + 1..]);
        let after_own = own_header.and_then(|own| signed.strip_prefix(own.as_bytes()));
        let (header, body) = if let Some([b'.', body @ ..]) = after_own {
            (None, body)
        } else {
            let middle = memchr(b'.', signed)?;
            (Some(&signed[..middle]), &signed[middle + 1..])
        };
        Some(Self { signed, header, body, signature })
    }

    /// The key among `keys` that the header names.
    fn find_key<'k>(
        &self,
        keys: &'k [VerifyingKey],
        purpose: Purpose,
    ) -> Result<&'k VerifyingKey, InvalidTokenReason> {
        let end = self.signed.len() - self.body.len() - 1;
        let header = Header::parse(&self.signed[..end], purpose)?;
        let key = find_key(keys, header.kid.as_deref()).ok_or(UnknownKey)?;
        if header.alg != key.algorithm().name() {
            return Err(Algorithm);
        }
        Ok(key)
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

/// A member that is present: `null` is a value of it, not its absence.
fn present<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl Header {
    fn parse(encoded: &[u8], purpose: Purpose) -> Result<Self, InvalidTokenReason> {
        let json = URL_SAFE_NO_PAD.decode_to_vec(encoded).map_err(|_| Malformed)?;
        // A derived `Deserialize` would also read an array.
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err(MalformedHeader);
        }
        let header: Self = serde_json::from_slice(&json).map_err(|_| MalformedHeader)?;
        if header.crit.is_some() {
            return Err(CriticalHeader);
        }
        if !purpose.is_served_by(header.typ.as_deref()) {
            return Err(Type);
        }
        Ok(header)
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
