//! A key that verifies tokens.

use std::{fmt, sync::Arc};

use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::{
    AlgorithmFamily, DecodingKey,
    crypto::KeyUtils,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};

use super::{
    algorithm::Algorithm,
    pem::{Half, check_form},
};
use crate::token::{
    error::{KeyError, KeyErrorKind},
    purpose::Purpose,
    signature::{HmacKey, PublicKey, provider},
};

/// The shortest HMAC secret, in bytes: the output of the hash function (RFC 7518 section 3.2).
const fn shortest_secret(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => 32,
    }
}

/// The smallest RSA modulus, in bytes: 2048 bits (RFC 7518 section 3.3).
const MIN_RSA_MODULUS: usize = 256;

/// A key that verifies tokens. `Debug` shows its algorithm and `kid` only.
#[derive(Clone)]
#[must_use]
pub struct VerifyingKey {
    algorithm: Algorithm,
    signature_length: usize,
    pub(super) kid: Option<Arc<str>>,
    pub(super) legacy: bool,
    pub(super) material: Verifying,
}

#[derive(Clone)]
pub(super) enum Verifying {
    Hmac(Arc<HmacKey>),
    Public(Arc<PublicKey>),
}

impl VerifyingKey {
    /// An HMAC secret for HS256, HS384 or HS512.
    ///
    /// # Errors
    /// [`KeyError`] if the secret is shorter than the output of the hash function, which is 32, 48 or
    /// 64 bytes (RFC 7518 section 3.2), or if the algorithm is not HMAC.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        let shortest = shortest_secret(algorithm);
        if secret.len() < shortest {
            let text = format!(
                "a secret for {algorithm} has at least {shortest} bytes: generate one with \
                 `openssl rand -base64 48`"
            );
            return Err(KeyError::new(KeyErrorKind::TooShort, text));
        }
        let material = Verifying::Hmac(Arc::new(HmacKey::new(algorithm, secret)?));
        Ok(Self::from_material(algorithm, 0, material))
    }

    /// A public key in PEM: SPKI or PKCS#1 for RSA, SPKI for EC and Ed25519.
    ///
    /// # Errors
    /// [`KeyError`] if it is no such key, not of `algorithm`, or an RSA key under 2048 bits.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        if algorithm.family() != AlgorithmFamily::Hmac {
            check_form(pem, Half::Public)?;
        }
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem),
            AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem),
            AlgorithmFamily::Ed => DecodingKey::from_ed_pem(pem),
            AlgorithmFamily::Hmac => return Err(KeyError::pem_is_no_secret()),
        };
        Self::public(
            algorithm,
            key.map_err(|error| KeyError::malformed("not a public key in PEM", error))?,
        )
    }

    /// A key as a JWK (RFC 7517): RSA, EC, OKP or oct, with its `kid` if it has one.
    ///
    /// # Errors
    /// [`KeyError`] if it is no such key or not of `algorithm`, if its `alg` or `crv` differs, its `use`
    /// is not `sig`, or its `key_ops` does not contain `verify`.
    pub fn from_jwk(algorithm: Algorithm, json: &str) -> Result<Self, KeyError> {
        let jwk: Jwk = serde_json::from_str(json).map_err(|_| not_a_jwk())?;
        check_jwk(algorithm, &jwk)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| not_a_jwk())?;
        let verifying = match key.family() {
            AlgorithmFamily::Hmac => {
                Self::hmac(algorithm, key.try_get_as_bytes().map_err(|_| KeyError::mismatch())?)
            }
            _ => Self::public(algorithm, key),
        }?;
        Ok(match jwk.common.key_id {
            Some(kid) => verifying.kid(kid),
            None => verifying,
        })
    }

    /// Sets the `kid`: tokens with this `kid` are verified with this key only.
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into().into());
        self
    }

    /// Marks the key as the one for tokens without a `kid`, for a set of several keys.
    pub fn legacy(mut self) -> Self {
        self.legacy = true;
        self
    }

    /// `rsa_modulus`: its length in bytes, for an RSA key.
    fn from_material(algorithm: Algorithm, rsa_modulus: usize, material: Verifying) -> Self {
        let signature_length = match algorithm {
            Algorithm::HS256 => 32,
            Algorithm::HS384 => 48,
            Algorithm::HS512 | Algorithm::ES256 | Algorithm::EdDSA => 64,
            Algorithm::ES384 => 96,
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => rsa_modulus,
        };
        Self { algorithm, signature_length, kid: None, legacy: false, material }
    }

    pub(super) fn public(algorithm: Algorithm, key: DecodingKey) -> Result<Self, KeyError> {
        let provider = provider().ok_or_else(KeyError::no_backend)?;
        if algorithm.family() != key.family() {
            return Err(KeyError::mismatch());
        }
        check_curve(algorithm, &key)?;
        let rsa_modulus = check_rsa_size(&key, &provider.key_utils)?;
        let public = PublicKey { algorithm, key };
        public.verifier()?;
        Ok(Self::from_material(algorithm, rsa_modulus, Verifying::Public(Arc::new(public))))
    }

    /// Whether `signature` is the signature of `message` by this key.
    pub(in crate::token) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Verifying::Hmac(key) => key.verify(message, signature),
            Verifying::Public(key) => key.verify(message, signature),
        }
    }

    pub(super) const fn is_symmetric(&self) -> bool {
        matches!(self.material, Verifying::Hmac(_))
    }

    /// Whether it is the same public key under the same `kid`.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
        let (Verifying::Public(one), Verifying::Public(two)) = (&self.material, &other.material)
        else {
            return false;
        };
        let is_same_material = match (one.key.kind(), two.key.kind()) {
            (SecretOrDer(one), SecretOrDer(two)) => one == two,
            (RsaModulusExponent { n, e }, RsaModulusExponent { n: n2, e: e2 }) => {
                n == n2 && e == e2
            }
            _ => false,
        };
        is_same_material && self.kid == other.kid && self.algorithm == other.algorithm
    }

    pub(in crate::token) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The length of a signature by this key, in bytes.
    pub(in crate::token) const fn signature_length(&self) -> usize {
        self.signature_length
    }

    /// The encoded header of a token of this key for `purpose`.
    pub(super) fn header(&self, purpose: Purpose) -> String {
        let mut header = serde_json::json!({ "alg": self.algorithm.name(), "typ": purpose.typ() });
        if let Some(kid) = &self.kid {
            header["kid"] = (**kid).into();
        }
        URL_SAFE_NO_PAD.encode_to_string(header.to_string())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// Without the source: `serde_json`'s text may repeat a part of the key (P10).
fn not_a_jwk() -> KeyError {
    KeyError::new(KeyErrorKind::Malformed, "not a JWK of a supported key")
}

/// Checks the members of a JWK that restrict what it is for (RFC 7517 section 4, RFC 7518 section 6).
fn check_jwk(algorithm: Algorithm, jwk: &Jwk) -> Result<(), KeyError> {
    let common = &jwk.common;
    let curve = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) => Some(&key.curve),
        AlgorithmParameters::OctetKeyPair(key) => Some(&key.curve),
        _ => None,
    };
    let text = if common.key_algorithm.is_some_and(|named| named.to_string() != algorithm.name()) {
        "the JWK's `alg` is another algorithm"
    } else if common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
        "the JWK's `use` is not `sig`"
    } else if common.key_operations.as_ref().is_some_and(|it| !it.contains(&KeyOperations::Verify))
    {
        "the JWK's `key_ops` does not contain `verify`"
    } else if curve.is_some_and(|curve| Some(curve) != curve_of(algorithm).as_ref()) {
        "the JWK's `crv` is the curve of another algorithm"
    } else {
        return Ok(());
    };
    Err(KeyError::new(KeyErrorKind::Mismatch, text))
}

const fn curve_of(algorithm: Algorithm) -> Option<EllipticCurve> {
    match algorithm {
        Algorithm::ES256 => Some(EllipticCurve::P256),
        Algorithm::ES384 => Some(EllipticCurve::P384),
        Algorithm::EdDSA => Some(EllipticCurve::Ed25519),
        _ => None,
    }
}

/// Not every backend checks the curve before the first signature.
fn check_curve(algorithm: Algorithm, key: &DecodingKey) -> Result<(), KeyError> {
    // An uncompressed point: a marker and two coordinates (RFC 5480 section 2.2).
    let point = match algorithm {
        Algorithm::ES256 => 1 + 2 * 32,
        Algorithm::ES384 => 1 + 2 * 48,
        _ => return Ok(()),
    };
    match key.try_get_as_bytes() {
        Ok(bytes) if bytes.len() == point => Ok(()),
        _ => Err(KeyError::mismatch()),
    }
}

/// Returns the length of an RSA modulus in bytes; 0 for other keys.
fn check_rsa_size(key: &DecodingKey, utils: &KeyUtils) -> Result<usize, KeyError> {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    if key.family() != AlgorithmFamily::Rsa {
        return Ok(0);
    }
    let modulus = match key.kind() {
        RsaModulusExponent { n, .. } => n.clone(),
        SecretOrDer(der) => {
            (utils.rsa_pub_components_from_public_key)(der).map_err(|_| KeyError::mismatch())?.0
        }
    };
    let length = modulus.iter().skip_while(|byte| **byte == 0).count();
    if length < MIN_RSA_MODULUS {
        let text = "an RSA key has at least 2048 bits (RFC 7518 section 3.3)";
        return Err(KeyError::new(KeyErrorKind::TooShort, text));
    }
    Ok(length)
}
