//! JWK sets (RFC 7517 section 5).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{algorithm::Algorithm, set::add_key, verifying::VerifyingKey};
use crate::token::error::{KeyError, KeyErrorKind};

/// What [`JwtKeys::sync_jwks`](super::JwtKeys::sync_jwks) did with a JWK set.
#[derive(Debug)]
pub struct SyncedJwks {
    keys: usize,
    is_changed: bool,
    skipped: Vec<SkippedJwk>,
}

/// A key of a JWK set that cannot be used.
#[derive(Debug)]
pub struct SkippedJwk {
    kid: Option<String>,
    error: KeyError,
}

impl SyncedJwks {
    pub(super) const fn new(keys: usize, is_changed: bool, skipped: Vec<SkippedJwk>) -> Self {
        Self { keys, is_changed, skipped }
    }

    /// How many keys of the set verify tokens of the issuer.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.keys
    }

    /// Whether the issuer's keys are others than before.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The keys that cannot be used, in the order of the set.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedJwk] {
        &self.skipped
    }
}

impl SkippedJwk {
    /// Its `kid`, if it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Why it cannot be used.
    #[must_use]
    pub const fn error(&self) -> &KeyError {
        &self.error
    }
}

#[derive(Deserialize)]
struct JwkSet<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The members that tell which key and algorithm a JWK is.
#[derive(Default, Deserialize)]
struct Description {
    kid: Option<String>,
    kty: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
}

impl Description {
    /// The algorithm that it names; without `alg`, the usual one of its type of key.
    fn algorithm(&self) -> Result<Algorithm, KeyError> {
        let unsupported = |text| Err(KeyError::new(KeyErrorKind::Unsupported, text));
        match (self.kty.as_deref(), self.alg.as_deref(), self.crv.as_deref()) {
            (Some("oct"), ..) => unsupported("a symmetric key, which no public JWK set contains"),
            (_, Some(alg), _) => Algorithm::from_name(alg)
                .map_or_else(|| unsupported("the JWK's `alg` is not supported"), Ok),
            (Some("RSA"), None, _) => Ok(Algorithm::RS256),
            (Some("EC"), None, Some("P-256")) => Ok(Algorithm::ES256),
            (Some("EC"), None, Some("P-384")) => Ok(Algorithm::ES384),
            (Some("OKP"), None, Some("Ed25519")) => Ok(Algorithm::EdDSA),
            _ => unsupported("the JWK is of a type that is not supported"),
        }
    }
}

/// The keys of the JWK set `json` that can be used, and those that cannot.
///
/// # Errors
/// It is no JWK set, or none of its keys can be used.
pub(super) fn read_jwks(json: &str) -> Result<(Vec<VerifyingKey>, Vec<SkippedJwk>), KeyError> {
    // Without the source: it may repeat a part of a key (P10).
    let JwkSet { keys } = serde_json::from_str(json)
        .map_err(|_| KeyError::new(KeyErrorKind::Malformed, "not a JWK set"))?;
    let (mut usable, mut skipped) = (Vec::new(), Vec::new());
    for jwk in keys {
        let description: Description = serde_json::from_str(jwk.get()).unwrap_or_default();
        let added = description
            .algorithm()
            .and_then(|algorithm| VerifyingKey::from_jwk(algorithm, jwk.get()))
            .and_then(|key| add_key(&mut usable, key));
        if let Err(error) = added {
            skipped.push(SkippedJwk { kid: description.kid, error });
        }
    }
    if usable.is_empty() {
        let reasons = skipped.iter().map(|jwk| {
            let kid = jwk.kid.as_deref().unwrap_or("without kid");
            format!("{kid}: {}", jwk.error)
        });
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let text = format!("the JWK set contains no key that can be used ({reasons})");
        return Err(KeyError::new(KeyErrorKind::NoUsableKey, text));
    }
    Ok((usable, skipped))
}
