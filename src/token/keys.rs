//! Key sets: the newest key signs, any listed key verifies.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, EncodingKey, crypto::KeyUtils, jwk::Jwk};

use super::signature::{HmacKey, PrivateKey, PublicKey, key_removed, provider};

/// The shortest HMAC secret, in bytes: the output of SHA-256 (RFC 7518 section 3.2).
const MIN_SECRET: usize = 32;

/// The smallest RSA modulus, in bytes: 2048 bits (RFC 7518 section 3.3).
const MIN_RSA_MODULUS: usize = 256;

/// Why a key, or a change of a key set, was refused.
#[derive(Debug)]
pub struct KeyError(String);

impl KeyError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn no_backend() -> Self {
        Self::new("this algorithm needs the feature `rust_crypto` or `aws_lc_rs`")
    }

    pub(super) fn mismatch() -> Self {
        Self::new("the key does not fit the algorithm")
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeyError {}

/// A key that tokens are checked with. `Debug` shows its algorithm and `kid` only.
#[derive(Clone)]
#[must_use]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Option<Arc<str>>,
    legacy: bool,
    material: Verifying,
}

#[derive(Clone)]
enum Verifying {
    Hmac(Arc<HmacKey>),
    Public(Arc<PublicKey>),
}

impl VerifyingKey {
    /// An HMAC secret for HS256, HS384 or HS512.
    ///
    /// # Errors
    /// A secret shorter than 32 bytes, or another algorithm.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let secret = secret.as_ref();
        if secret.len() < MIN_SECRET {
            return Err(KeyError::new(format!(
                "an HMAC secret has at least {MIN_SECRET} bytes: generate one with \
                 `openssl rand -base64 48`"
            )));
        }
        Ok(Self::of(algorithm, Verifying::Hmac(Arc::new(HmacKey::new(algorithm, secret)?))))
    }

    /// A public key in PEM: SPKI or PKCS#1 for RSA, SPKI for EC and Ed25519.
    ///
    /// # Errors
    /// What is not such a key, does not fit `algorithm`, or is an RSA key under 2048 bits.
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(pem),
            AlgorithmFamily::Ec => DecodingKey::from_ec_pem(pem),
            AlgorithmFamily::Ed => DecodingKey::from_ed_pem(pem),
            AlgorithmFamily::Hmac => return Err(KeyError::new("an HMAC secret is not a PEM")),
        };
        Self::public(algorithm, key.map_err(|_| KeyError::new("not a public key in PEM"))?)
    }

    /// A key as a JWK (RFC 7517): RSA, EC, OKP or oct, with its `kid` if it has one.
    ///
    /// # Errors
    /// What is not such a key or does not fit `algorithm`, an `alg` or `use` that says otherwise.
    pub fn from_jwk(algorithm: Algorithm, json: &str) -> Result<Self, KeyError> {
        let jwk: Jwk = serde_json::from_str(json).map_err(|_| KeyError::new("not a JWK"))?;
        if jwk
            .common
            .key_algorithm
            .is_some_and(|named| named.to_string() != format!("{algorithm:?}"))
        {
            return Err(KeyError::new("the JWK's `alg` is another algorithm"));
        }
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| KeyError::new("not a usable JWK"))?;
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

    /// Names the key: tokens that carry this `kid` are checked with it alone.
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into().into());
        self
    }

    /// Marks the key as the one for tokens without a `kid`, where the set has several keys.
    pub fn legacy(mut self) -> Self {
        self.legacy = true;
        self
    }

    fn of(algorithm: Algorithm, material: Verifying) -> Self {
        Self { algorithm, kid: None, legacy: false, material }
    }

    fn public(algorithm: Algorithm, key: DecodingKey) -> Result<Self, KeyError> {
        let provider = provider().ok_or_else(KeyError::no_backend)?;
        if algorithm.family() != key.family() {
            return Err(KeyError::mismatch());
        }
        check_rsa_size(&key, &provider.key_utils)?;
        let public = PublicKey { algorithm, key };
        public.verifier()?;
        Ok(Self::of(algorithm, Verifying::Public(Arc::new(public))))
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        match &self.material {
            Verifying::Hmac(key) => key.verify(message, signature),
            Verifying::Public(key) => key.verify(message, signature),
        }
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The header of a token under this key, encoded.
    fn header(&self) -> String {
        let mut header = serde_json::json!({ "alg": self.algorithm, "typ": "JWT" });
        if let Some(kid) = &self.kid {
            header["kid"] = (**kid).into();
        }
        URL_SAFE_NO_PAD.encode(header.to_string())
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

fn check_rsa_size(key: &DecodingKey, utils: &KeyUtils) -> Result<(), KeyError> {
    use jsonwebtoken::DecodingKeyKind::{RsaModulusExponent, SecretOrDer};
    if key.family() != AlgorithmFamily::Rsa {
        return Ok(());
    }
    let modulus = match key.kind() {
        RsaModulusExponent { n, .. } => n.clone(),
        SecretOrDer(der) => {
            (utils.rsa_pub_components_from_public_key)(der).map_err(|_| KeyError::mismatch())?.0
        }
    };
    if modulus.iter().skip_while(|byte| **byte == 0).count() < MIN_RSA_MODULUS {
        return Err(KeyError::new("an RSA key has at least 2048 bits (RFC 7518 section 3.3)"));
    }
    Ok(())
}

/// A key that tokens are signed with; it verifies too. `Debug` shows its algorithm and `kid` only.
#[derive(Clone)]
#[must_use]
pub struct SigningKey {
    verifying: VerifyingKey,
    private: Option<Arc<PrivateKey>>,
}

impl SigningKey {
    /// An HMAC secret for HS256, HS384 or HS512.
    ///
    /// # Errors
    /// A secret shorter than 32 bytes, or another algorithm.
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self { verifying: VerifyingKey::hmac(algorithm, secret)?, private: None })
    }

    /// A private key in PEM: PKCS#8, or PKCS#1 for RSA. Its public half is derived from it.
    ///
    /// # Errors
    /// What is not such a key or does not fit `algorithm`; an RSA key without the feature
    /// `aws_lc_rs`, because signing in the `rsa` crate leaks timing (RUSTSEC-2023-0071).
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa if cfg!(not(feature = "aws_lc_rs")) => {
                return Err(KeyError::new(
                    "signing with RSA needs the feature `aws_lc_rs`: the rsa crate leaks timing \
                     (RUSTSEC-2023-0071); ES256 and EdDSA work without it",
                ));
            }
            AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem),
            AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem),
            AlgorithmFamily::Ed => EncodingKey::from_ed_pem(pem),
            AlgorithmFamily::Hmac => return Err(KeyError::new("an HMAC secret is not a PEM")),
        }
        .map_err(|_| KeyError::new("not a private key in PEM"))?;
        let verifying = VerifyingKey::public(algorithm, public_half(algorithm, &key)?)?;
        let private = PrivateKey { algorithm, key };
        private.signer()?;
        Ok(Self { verifying, private: Some(Arc::new(private)) })
    }

    /// Names the key: its tokens carry this `kid`.
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.verifying = self.verifying.kid(kid);
        self
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match (&self.private, &self.verifying.material) {
            (Some(private), _) => private.sign(message),
            (None, Verifying::Hmac(key)) => Ok(key.sign(message)),
            (None, Verifying::Public(_)) => Err(KeyError::mismatch()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.verifying).finish()
    }
}

fn public_half(algorithm: Algorithm, key: &EncodingKey) -> Result<DecodingKey, KeyError> {
    use jsonwebtoken::jwk::EllipticCurve::Ed25519;
    let utils = &provider().ok_or_else(KeyError::no_backend)?.key_utils;
    let der = key.as_bytes();
    let half = match algorithm.family() {
        AlgorithmFamily::Rsa => (utils.rsa_pub_components_from_private_key)(der)
            .map(|(n, e)| DecodingKey::from_rsa_raw_components(&n, &e)),
        AlgorithmFamily::Ec => (utils.ec_pub_components_from_private_key)(der, algorithm)
            .map(|(_, x, y)| DecodingKey::from_ec_der(&[&[4], &*x, &*y].concat())),
        AlgorithmFamily::Ed => (utils.ed_pub_components_from_private_key)(der, &Ed25519)
            .map(|x| DecodingKey::from_ed_der(&x)),
        AlgorithmFamily::Hmac => return Err(KeyError::mismatch()),
    };
    half.map_err(|_| KeyError::mismatch())
}

/// The keys of a service. Share it in an [`Arc`]: rotation reaches every layer that holds it.
///
/// ```
/// use tower_sliding_session::token::{Algorithm, JwtKeys, SigningKey};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let old = SigningKey::hmac(Algorithm::HS256, [7; 32])?.kid("2026-10");
/// let new = SigningKey::hmac(Algorithm::HS256, [8; 32])?.kid("2026-11");
/// let keys = JwtKeys::new(old);
/// keys.rotate(new)?;        // from now on the new key signs, both verify
/// keys.remove("2026-10")?;  // and now tokens of the old one are refused
/// # Ok(()) }
/// ```
pub struct JwtKeys {
    set: RwLock<Arc<KeySet>>,
    generation: AtomicU64,
}

impl JwtKeys {
    /// A set of one key, which signs and verifies.
    #[must_use]
    pub fn new(signing: SigningKey) -> Self {
        let set = KeySet::new(signing.clone(), vec![signing.verifying]);
        Self { set: RwLock::new(Arc::new(set)), generation: AtomicU64::new(0) }
    }

    /// A set of one HS256 secret.
    ///
    /// # Errors
    /// A secret shorter than 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::hmac(Algorithm::HS256, secret).map(Self::new)
    }

    /// Adds a key that verifies and does not sign.
    ///
    /// # Errors
    /// A key whose `kid` another key of the set has, or a second one without `kid`.
    pub fn add(&self, key: VerifyingKey) -> Result<(), KeyError> {
        self.change(|set| Ok(KeySet::new(set.signing.clone(), set.with(key)?)))
    }

    /// Makes `key` the one that signs; the keys so far still verify.
    ///
    /// # Errors
    /// A key whose `kid` another key of the set has, or a second one without `kid`.
    pub fn rotate(&self, key: SigningKey) -> Result<(), KeyError> {
        self.change(|set| Ok(KeySet::new(key.clone(), set.with(key.verifying)?)))
    }

    /// Removes the key named `kid`: its tokens are refused from now on.
    ///
    /// # Errors
    /// No such key, or the one that signs: rotate first.
    pub fn remove(&self, kid: &str) -> Result<(), KeyError> {
        self.change(|set| {
            if set.signing.verifying.kid.as_deref() == Some(kid) {
                return Err(KeyError::new("this key signs: rotate to another one first"));
            }
            let mut verifying = set.verifying.clone();
            verifying.retain(|key| key.kid.as_deref() != Some(kid));
            if verifying.len() == set.verifying.len() {
                return Err(KeyError::new("the set has no key of this name"));
            }
            Ok(KeySet::new(set.signing.clone(), verifying))
        })?;
        key_removed();
        Ok(())
    }

    pub(super) fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(
        &self,
        next: impl FnOnce(&KeySet) -> Result<KeySet, KeyError>,
    ) -> Result<(), KeyError> {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        *set = Arc::new(next(&set)?);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtKeys").field(&self.current().verifying).finish()
    }
}

/// One state of a key set.
pub(super) struct KeySet {
    signing: SigningKey,
    header: String,
    verifying: Vec<VerifyingKey>,
}

impl KeySet {
    fn new(signing: SigningKey, verifying: Vec<VerifyingKey>) -> Self {
        Self { header: signing.verifying.header(), signing, verifying }
    }

    fn with(&self, key: VerifyingKey) -> Result<Vec<VerifyingKey>, KeyError> {
        if self.verifying.iter().any(|listed| listed.kid == key.kid) {
            return Err(KeyError::new("another key of the set has this `kid`, or neither has one"));
        }
        let mut verifying = self.verifying.clone();
        verifying.push(key);
        Ok(verifying)
    }

    /// The encoded header of the tokens that this set signs.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// The key of tokens with our own header.
    pub(super) fn signing_key(&self) -> &VerifyingKey {
        &self.signing.verifying
    }

    /// The key for `kid`; without one a sole key, or the one marked legacy.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&VerifyingKey> {
        match kid {
            Some(_) => self.verifying.iter().find(|key| key.kid.as_deref() == kid),
            None if self.verifying.len() == 1 => self.verifying.first(),
            None => self.verifying.iter().find(|key| key.legacy),
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.signing.sign(message)
    }
}
