//! Minting: the payload of a session's first token, and signing.

use base64_simd::URL_SAFE_NO_PAD;
use serde::Serialize;
use uuid::{Uuid, fmt::Simple};

use super::{
    app_claims::AppClaims,
    error::{KeyError, TokenTooLong},
    keys::{JwtKeys, KeySet, VerifyingKey},
    purpose::Purpose,
};
use crate::rules::SessionClaims;

/// How much longer than the first token of a session its successors may be, in bytes: they gain
/// `seen`, `refresh_gen` and `claims_at`. A session whose first token fits can be renewed.
pub(crate) const SUCCESSOR_GROWTH: usize = 96;

/// The claims of the first token of a session.
pub(crate) struct NewToken<'a> {
    pub(crate) claims: &'a SessionClaims,
    pub(crate) aud: Option<&'a str>,
    pub(crate) app: Option<&'a AppClaims>,
}

impl NewToken<'_> {
    pub(crate) fn payload(&self) -> String {
        let claims = self.claims;
        let mut members = String::with_capacity(256);
        if let Some(iss) = &claims.iss {
            push_member(&mut members, "iss", iss);
        }
        if let Some(aud) = self.aud {
            push_member(&mut members, "aud", aud);
        }
        push_member(&mut members, "sub", &claims.sub);
        push_member(&mut members, "sid", &claims.sid);
        if let Some(tenant) = &claims.tenant {
            push_member(&mut members, "tenant", tenant);
        }
        if let Some(profile) = &claims.session_profile {
            push_member(&mut members, "session_profile", profile);
        }
        push_member(&mut members, "auth_time", &claims.auth_time.as_secs());
        push_member(&mut members, "iat", &claims.iat.as_secs());
        push_member(&mut members, "exp", &claims.exp.as_secs());
        push_member(&mut members, "jti", &new_id());
        if let Some(idle) = claims.idle_max {
            push_member(&mut members, "idle_max", &idle.as_secs());
        }
        if let Some(absolute) = claims.abs_max {
            push_member(&mut members, "abs_max", &absolute.as_secs());
        }
        if let Some(epoch) = claims.epoch {
            push_member(&mut members, "epoch", &epoch.as_millis());
        }
        if let Some(claims_at) = claims.claims_at {
            push_member(&mut members, "claims_at", &claims_at.as_millis());
        }
        let app = self.app.map(AppClaims::members).filter(|app| !app.is_empty());
        let comma = if app.is_some() { "," } else { "" };
        format!("{{{members}{comma}{}}}", app.unwrap_or_default())
    }
}

/// Appends `"name":value`, after a comma unless it is the first member.
pub(super) fn push_member<T>(out: &mut String, name: &str, value: &T)
where
    T: Serialize + ?Sized,
{
    let json = serde_json::to_string(value).expect("a string or an integer serializes");
    if !out.is_empty() {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
    out.push_str(&json);
}

/// The length of an identifier in characters.
pub(crate) const ID_LENGTH: usize = Simple::LENGTH;

/// A new identifier of 122 random bits from a cryptographic generator.
pub(crate) fn new_id() -> String {
    write_new_id(&mut [0; ID_LENGTH]).to_owned()
}

/// As [`new_id`], without an allocation.
pub(crate) fn write_new_id(buffer: &mut [u8; ID_LENGTH]) -> &str {
    Uuid::new_v4().simple().encode_lower(buffer)
}

/// Signs `payload` with the newest key.
pub(crate) fn mint(keys: &JwtKeys, payload: &str, purpose: Purpose) -> Result<String, KeyError> {
    let set = keys.current();
    // The exact length: a header value then takes the string without a copy.
    let mut token = String::with_capacity(token_length(&set, payload, purpose));
    token.push_str(set.header(purpose).ok_or_else(KeyError::no_signing_key)?);
    token.push('.');
    URL_SAFE_NO_PAD.encode_append(payload, &mut token);
    let signature = set.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_append(signature, &mut token);
    Ok(token)
}

/// Checks that [`mint`] would return a token of at most `limit` bytes, before anything is changed
/// or consumed for it.
pub(crate) fn check_length(
    keys: &JwtKeys,
    payload: &str,
    purpose: Purpose,
    limit: usize,
) -> Result<(), TokenTooLong> {
    let length = token_length(&keys.current(), payload, purpose);
    if length > limit { Err(TokenTooLong::new(length, limit)) } else { Ok(()) }
}

/// The length in bytes of the token of `payload`: three parts and two dots.
fn token_length(set: &KeySet, payload: &str, purpose: Purpose) -> usize {
    let encoded = |length| URL_SAFE_NO_PAD.encoded_length(length);
    let signature = set.signing_key().map_or(0, VerifyingKey::signature_length);
    set.header(purpose).map_or(0, str::len) + encoded(payload.len()) + encoded(signature) + 2
}
