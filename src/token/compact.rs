//! A token in compact form (RFC 7515 section 3.1): its parts and its header.

use base64_simd::URL_SAFE_NO_PAD;
use memchr::{memchr, memrchr};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{
    keys::{VerifyingKey, find_key},
    purpose::Purpose,
};
use crate::rejection::InvalidTokenReason::{
    self, Algorithm, CriticalHeader, Malformed, MalformedHeader, Type, UnknownKey,
};

/// The parts of a token in compact form.
pub(super) struct Parts<'a> {
    /// Header and body with the dot between them.
    pub(super) signed: &'a [u8],
    /// `None` if it is the header of the tokens that this set signs.
    pub(super) header: Option<&'a [u8]>,
    pub(super) body: &'a [u8],
    pub(super) signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Searches the signature from the end, and skips a header of ours without a search. A fourth
    /// part ends up in the body, whose decoding fails.
    pub(super) fn new(token: &'a [u8], own_header: Option<&str>) -> Option<Self> {
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
    pub(super) fn find_key<'k>(
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
