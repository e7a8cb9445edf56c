//! A key that signs tokens.

use std::{fmt, sync::Arc};

use jsonwebtoken::{AlgorithmFamily, DecodingKey, EncodingKey};

use super::{
    algorithm::Algorithm,
    pem::{Half, check_form},
    verifying::{Verifying, VerifyingKey},
};
use crate::token::{
    error::{KeyError, KeyErrorKind},
    signature::{PrivateKey, provider},
};

/// A key that signs tokens and verifies them. `Debug` shows its algorithm and `kid` only.
#[derive(Clone)]
#[must_use]
pub struct SigningKey {
    pub(super) verifying: VerifyingKey,
    private: Option<Arc<PrivateKey>>,
}

impl SigningKey {
    /// An HMAC secret for HS256, HS384 or HS512.
    ///
    /// # Errors
    /// As [`VerifyingKey::hmac`].
    pub fn hmac(algorithm: Algorithm, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self { verifying: VerifyingKey::hmac(algorithm, secret)?, private: None })
    }

    /// A private key in PEM: PKCS#8, or PKCS#1 for RSA. Its public half is derived from it.
    ///
    /// # Errors
    /// [`KeyError`] if it is no such key, with how to convert it if its form is known (SEC1, encrypted,
    /// `\n` in place of line breaks), if it is not of `algorithm`, or for an RSA key without the feature
    /// `aws_lc_rs`, because signing in the `rsa` crate leaks timing (RUSTSEC-2023-0071).
    pub fn from_pem(algorithm: Algorithm, pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let pem = pem.as_ref();
        if algorithm.family() != AlgorithmFamily::Hmac {
            check_form(pem, Half::Private)?;
        }
        let key = match algorithm.family() {
            AlgorithmFamily::Rsa if cfg!(not(feature = "aws_lc_rs")) => {
                return Err(KeyError::new(
                    KeyErrorKind::Unsupported,
                    "signing with RSA needs the feature `aws_lc_rs`: the rsa crate leaks timing \
                     (RUSTSEC-2023-0071); ES256 and EdDSA work without it",
                ));
            }
            AlgorithmFamily::Rsa => EncodingKey::from_rsa_pem(pem),
            AlgorithmFamily::Ec => EncodingKey::from_ec_pem(pem),
            AlgorithmFamily::Ed => EncodingKey::from_ed_pem(pem),
            AlgorithmFamily::Hmac => return Err(KeyError::pem_is_no_secret()),
        }
        .map_err(|error| KeyError::malformed("not a private key in PEM", error))?;
        let verifying = VerifyingKey::public(algorithm, public_half(algorithm, &key)?)?;
        let private = PrivateKey { algorithm, key };
        private.signer()?;
        Ok(Self { verifying, private: Some(Arc::new(private)) })
    }

    /// Sets the `kid` of the key and of its tokens.
    pub fn kid(mut self, kid: impl Into<String>) -> Self {
        self.verifying = self.verifying.kid(kid);
        self
    }

    /// Marks the key as the one for tokens without a `kid`, for a set of several keys.
    pub fn legacy(mut self) -> Self {
        self.verifying = self.verifying.legacy();
        self
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
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
        AlgorithmFamily::Ec => {
            (utils.ec_pub_components_from_private_key)(der, algorithm.to_jsonwebtoken())
                .map(|(_, x, y)| DecodingKey::from_ec_der(&[&[4], &*x, &*y].concat()))
        }
        AlgorithmFamily::Ed => (utils.ed_pub_components_from_private_key)(der, &Ed25519)
            .map(|x| DecodingKey::from_ed_der(&x)),
        AlgorithmFamily::Hmac => return Err(KeyError::mismatch()),
    };
    half.map_err(|_| KeyError::mismatch())
}
