//! Key sets with rotation: the newest key signs, every listed key verifies.

mod algorithm;
mod pem;
mod signing;
mod verifying;

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::{algorithm::Algorithm, signing::SigningKey, verifying::VerifyingKey};
use super::{
    error::{KeyError, KeyErrorKind},
    purpose::Purpose,
    signature::key_removed,
};

/// The keys of a service. Share it in an [`Arc`]: a rotation then applies to every layer.
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
    /// [`KeyError`] if another key of the set has its `kid`, or if neither has one.
    pub fn add(&self, key: VerifyingKey) -> Result<(), KeyError> {
        self.change(|set| Ok(KeySet::new(set.signing.clone(), set.with(key)?)))
    }

    /// Makes `key` the signing key; the other keys still verify. If the set had one key, without a
    /// `kid`, that key still verifies tokens without a `kid`.
    ///
    /// # Errors
    /// [`KeyError`] if another key of the set has its `kid`, or if neither has one.
    pub fn rotate(&self, key: SigningKey) -> Result<(), KeyError> {
        self.change(|set| {
            let mut verifying = set.with(key.verifying.clone())?;
            if let [sole, _] = &mut *verifying {
                sole.legacy |= sole.kid.is_none();
            }
            Ok(KeySet::new(key, verifying))
        })
    }

    /// Removes the key with this `kid`, or with `None` the one without. Its tokens are not valid
    /// any more.
    ///
    /// # Errors
    /// [`KeyError`] if no key has this `kid`, or if it is the signing key: rotate first.
    pub fn remove<'a>(&self, kid: impl Into<Option<&'a str>>) -> Result<(), KeyError> {
        let kid = kid.into();
        self.change(|set| {
            if set.signing.verifying.kid.as_deref() == kid {
                return Err(KeyError::new(
                    KeyErrorKind::SigningKey,
                    "this key signs: rotate to another key first",
                ));
            }
            let mut verifying = set.verifying.clone();
            verifying.retain(|key| key.kid.as_deref() != kid);
            if verifying.len() == set.verifying.len() {
                return Err(KeyError::new(
                    KeyErrorKind::UnknownKid,
                    "the set has no key with this `kid`",
                ));
            }
            Ok(KeySet::new(set.signing.clone(), verifying))
        })?;
        key_removed();
        Ok(())
    }

    /// A number that changes after every change of the set.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
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
    access_header: String,
    refresh_header: String,
    verifying: Vec<VerifyingKey>,
}

impl KeySet {
    fn new(signing: SigningKey, verifying: Vec<VerifyingKey>) -> Self {
        let header = |purpose| signing.verifying.header(purpose);
        let (access_header, refresh_header) = (header(Purpose::Access), header(Purpose::Refresh));
        Self { signing, access_header, refresh_header, verifying }
    }

    fn with(&self, key: VerifyingKey) -> Result<Vec<VerifyingKey>, KeyError> {
        if self.verifying.iter().any(|listed| listed.kid == key.kid) {
            return Err(KeyError::new(
                KeyErrorKind::DuplicateKid,
                "another key of the set has this `kid`, or neither has one",
            ));
        }
        let mut verifying = self.verifying.clone();
        verifying.push(key);
        Ok(verifying)
    }

    /// The encoded header of the tokens that this set signs for `purpose`.
    pub(super) fn header(&self, purpose: Purpose) -> &str {
        match purpose {
            Purpose::Access => &self.access_header,
            Purpose::Refresh => &self.refresh_header,
        }
    }

    /// The key of tokens with the header of this set.
    pub(super) fn signing_key(&self) -> &VerifyingKey {
        &self.signing.verifying
    }

    /// The key for `kid`; without a `kid`, the only key or the one marked legacy.
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

    /// The length of a signature in bytes.
    pub(super) const fn signature_length(&self) -> usize {
        self.signing.verifying.signature_length()
    }
}
