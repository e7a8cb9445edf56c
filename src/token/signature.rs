//! Signing and verifying bytes. HMAC keys are set up once, other keys once per thread.

use std::{
    cell::RefCell,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    DecodingKey, EncodingKey,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier},
};
use sha2::{Sha256, Sha384, Sha512};

use super::{
    error::{KeyError, KeyErrorKind},
    keys::Algorithm,
};

/// The cryptographic backend: the faster of those compiled in.
///
/// It is named here and not looked up: jsonwebtoken's look-up panics unless exactly one backend is
/// enabled in the whole build.
#[cfg_attr(
    any(feature = "rust_crypto", feature = "aws_lc_rs"),
    expect(clippy::unnecessary_wraps, reason = "there may be no backend")
)]
pub(super) const fn provider() -> Option<&'static CryptoProvider> {
    #[cfg(feature = "aws_lc_rs")]
    return Some(&jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER);
    #[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
    return Some(&jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER);
    #[cfg(not(any(feature = "rust_crypto", feature = "aws_lc_rs")))]
    return None;
}

/// An HMAC key whose two padded blocks are hashed already.
pub(super) enum HmacKey {
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl HmacKey {
    pub(super) fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self, KeyError> {
        let key = match algorithm {
            Algorithm::HS256 => Hmac::new_from_slice(secret).map(Self::Sha256),
            Algorithm::HS384 => Hmac::new_from_slice(secret).map(Self::Sha384),
            Algorithm::HS512 => Hmac::new_from_slice(secret).map(Self::Sha512),
            _ => {
                let text = "an HMAC key signs HS256, HS384 or HS512 only";
                return Err(KeyError::new(KeyErrorKind::Mismatch, text));
            }
        };
        key.map_err(|error| KeyError::malformed("not an HMAC key", error))
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256(key) => key.clone().chain_update(message).finalize().into_bytes().to_vec(),
            Self::Sha384(key) => key.clone().chain_update(message).finalize().into_bytes().to_vec(),
            Self::Sha512(key) => key.clone().chain_update(message).finalize().into_bytes().to_vec(),
        }
    }

    /// Whether `signature` is valid; compared in constant time.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Sha256(key) => verify(key.clone(), message, signature),
            Self::Sha384(key) => verify(key.clone(), message, signature),
            Self::Sha512(key) => verify(key.clone(), message, signature),
        }
    }
}

fn verify<M>(mut mac: M, message: &[u8], signature: &[u8]) -> bool
where
    M: Mac,
{
    mac.update(message);
    mac.verify_slice(signature).is_ok()
}

/// The private key of a pair.
pub(super) struct PrivateKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
}

impl PrivateKey {
    pub(super) fn signer(&self) -> Result<Box<dyn JwtSigner>, KeyError> {
        let provider = provider().ok_or_else(KeyError::no_backend)?;
        (provider.signer_factory)(&self.algorithm.to_jsonwebtoken(), &self.key)
            .map_err(|_| KeyError::mismatch())
    }

    pub(super) fn sign(self: &Arc<Self>, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        SIGNERS.with_borrow_mut(|signers| {
            let signer = signers.get_or_set_up(self, PrivateKey::signer)?;
            signer.try_sign(message).map_err(|_| KeyError::signing_failed())
        })
    }
}

/// The public key of a pair.
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl PublicKey {
    pub(super) fn verifier(&self) -> Result<Box<dyn JwtVerifier>, KeyError> {
        let provider = provider().ok_or_else(KeyError::no_backend)?;
        (provider.verifier_factory)(&self.algorithm.to_jsonwebtoken(), &self.key)
            .map_err(|_| KeyError::mismatch())
    }

    pub(super) fn verify(self: &Arc<Self>, message: &[u8], signature: &[u8]) -> bool {
        // The backends take a vector.
        let signature = signature.to_vec();
        VERIFIERS.with_borrow_mut(|verifiers| {
            verifiers
                .get_or_set_up(self, PublicKey::verifier)
                .is_ok_and(|verifier| verifier.verify(message, &signature).is_ok())
        })
    }
}

/// How many keys a thread keeps set up. A key set usually has two or three.
const KEPT_PER_THREAD: usize = 8;

/// Counts removals of keys, so that each thread drops the keys that were removed.
static REMOVALS: AtomicU64 = AtomicU64::new(0);

/// Makes every thread drop removed keys at its next use of a key.
pub(super) fn key_removed() {
    REMOVALS.fetch_add(1, Ordering::Release);
}

thread_local! {
    static SIGNERS: RefCell<PerThread<PrivateKey, Box<dyn JwtSigner>>> = const { RefCell::new(PerThread::new()) };
    static VERIFIERS: RefCell<PerThread<PublicKey, Box<dyn JwtVerifier>>> = const { RefCell::new(PerThread::new()) };
}

/// The keys that are set up on this thread: the backends' signers and verifiers are not `Send`.
struct PerThread<K, T> {
    ready: Vec<(Weak<K>, T)>,
    removals: u64,
}

impl<K, T> PerThread<K, T> {
    const fn new() -> Self {
        Self { ready: Vec::new(), removals: 0 }
    }

    fn get_or_set_up(
        &mut self,
        key: &Arc<K>,
        set_up: impl FnOnce(&K) -> Result<T, KeyError>,
    ) -> Result<&T, KeyError> {
        let removals = REMOVALS.load(Ordering::Acquire);
        if removals != self.removals {
            self.ready.retain(|(key, _)| key.strong_count() > 0);
            self.removals = removals;
        }
        let found =
            self.ready.iter().position(|(kept, _)| std::ptr::eq(kept.as_ptr(), &raw const **key));
        let at = if let Some(at) = found {
            at
        } else {
            let ready = set_up(key)?;
            if self.ready.len() == KEPT_PER_THREAD {
                self.ready.remove(0);
            }
            self.ready.push((Arc::downgrade(key), ready));
            self.ready.len() - 1
        };
        Ok(&self.ready[at].1)
    }
}
