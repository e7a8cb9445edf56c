//! Key sets with rotation: the newest key signs, every listed key verifies.

mod algorithm;
mod fetch;
mod issuer;
mod jwks;
mod pem;
mod set;
mod signing;
mod verifying;

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

pub use self::{
    algorithm::Algorithm,
    jwks::{SkippedJwk, SyncedJwks},
    signing::SigningKey,
    verifying::VerifyingKey,
};
pub(super) use self::{
    fetch::Fetcher,
    issuer::IssuerKeys,
    set::{KeySet, find_key},
};
use self::{jwks::read_jwks, set::add_key};
use super::{
    error::{KeyError, KeyErrorKind},
    signature::key_removed,
};
use crate::maybe_ready::MaybeReady;

/// The keys of a service: its own, and those of other issuers. Share it in an [`Arc`]: a rotation then
/// applies to every layer.
///
/// Tokens of our own keys are renewed: they are the signing key, and the previous and next ones. Add
/// the keys of an identity provider with [`add_issuer_key`](Self::add_issuer_key) or
/// [`sync_jwks`](Self::sync_jwks): its tokens are verified and never renewed, because a renewal would
/// sign them for as long as *this* service's policy says.
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
    /// A set of one key of our own, which signs and verifies.
    #[must_use]
    pub fn new(signing: SigningKey) -> Self {
        Self::from_set(KeySet::new(Some(signing)))
    }

    /// A set of one HS256 secret.
    ///
    /// # Errors
    /// A secret shorter than 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        SigningKey::hmac(Algorithm::HS256, secret).map(Self::new)
    }

    /// A set without a signing key, for a service that only accepts the tokens of others: it renews
    /// none, starts no session, and exchanges no refresh token.
    #[must_use]
    pub fn verify_only() -> Self {
        Self::from_set(KeySet::new(None))
    }

    fn from_set(set: KeySet) -> Self {
        Self { set: RwLock::new(Arc::new(set)), generation: AtomicU64::new(0) }
    }

    /// Adds a key of our own that verifies and does not sign: the previous or the next signing key. In
    /// a set that [verifies only](Self::verify_only), a key for the tokens of the expected `iss`.
    ///
    /// # Errors
    /// [`KeyError`] if another key of our own has its `kid`, or if neither has one.
    pub fn add(&self, key: VerifyingKey) -> Result<(), KeyError> {
        self.change(|set| set.with_own(key))
    }

    /// Makes `key` the signing key; the other keys still verify. If the set had one key, without a
    /// `kid`, that key still verifies tokens without a `kid`.
    ///
    /// # Errors
    /// [`KeyError`] if another key of our own has its `kid`, if neither has one, or in a set that
    /// [verifies only](Self::verify_only).
    pub fn rotate(&self, key: SigningKey) -> Result<(), KeyError> {
        self.change(|set| {
            if !set.signs() {
                return Err(KeyError::no_signing_key());
            }
            let mut set = set.with_own(key.verifying.clone())?;
            if let [sole, _] = &mut *set.own {
                sole.legacy |= sole.kid.is_none();
            }
            Ok(set.signed_by(key))
        })
    }

    /// Removes the key of our own with this `kid`, or with `None` the one without. Its tokens are not
    /// valid any more.
    ///
    /// # Errors
    /// [`KeyError`] if no key has this `kid`, or if it is the signing key: rotate first.
    pub fn remove<'a>(&self, kid: impl Into<Option<&'a str>>) -> Result<(), KeyError> {
        let kid = kid.into();
        self.change(|set| {
            if set.signing_key().is_some_and(|key| key.kid.as_deref() == kid) {
                return Err(KeyError::new(
                    KeyErrorKind::SigningKey,
                    "this key signs: rotate to another key first",
                ));
            }
            let mut next = set.clone();
            next.own.retain(|key| key.kid.as_deref() != kid);
            if next.own.len() == set.own.len() {
                return Err(KeyError::new(
                    KeyErrorKind::UnknownKid,
                    "the set has no key with this `kid`",
                ));
            }
            Ok(next)
        })?;
        key_removed();
        Ok(())
    }

    /// Adds a key for the tokens of another issuer, whose `iss` is `iss`. They are verified with the
    /// keys of that issuer only, and never renewed. To become a session, a token without `sid` and
    /// `auth_time` must be [adopted](super::LegacyTokens::adopt).
    ///
    /// # Errors
    /// [`KeyError`] if another key of the issuer has its `kid`, or if neither has one.
    pub fn add_issuer_key(&self, iss: &str, key: VerifyingKey) -> Result<(), KeyError> {
        self.change(|set| {
            let mut set = set.clone();
            add_key(&mut set.issuer_mut(iss).keys, key)?;
            Ok(set)
        })
    }

    /// Replaces the asymmetric keys of the issuer `iss` with those of a JWK set (RFC 7517 section 5):
    /// what its `jwks_uri` returns. Tokens of a key that the set does not contain are not valid any
    /// more. Keys that cannot be used are skipped; a key without `alg` is of the usual algorithm of its
    /// type, RS256 for RSA. Fetch the set at start and every few minutes; a call without a change costs
    /// no verified token its place in the cache.
    ///
    /// ```
    /// use tower_sliding_session::JwtKeys;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let keys = JwtKeys::hs256([7; 32])?;
    /// let json = r#"{"keys":[
    ///     {"kty":"OKP","crv":"Ed25519","kid":"2026-11","use":"sig",
    ///      "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    ///     {"kty":"RSA","kid":"encryption","use":"enc","n":"..","e":"AQAB"}]}"#;
    /// let synced = keys.sync_jwks("https://idp.example", json)?;
    /// assert_eq!(synced.keys(), 1);
    /// assert_eq!(synced.skipped()[0].kid(), Some("encryption"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] if it is no JWK set, or if none of its keys can be used. Nothing is changed then.
    pub fn sync_jwks(&self, iss: &str, json: &str) -> Result<SyncedJwks, KeyError> {
        let (usable, skipped) = read_jwks(json)?;
        let keys = usable.len();
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = KeySet::clone(&set);
        let is_changed = next.issuer_mut(iss).replace_asymmetric(usable);
        if is_changed {
            self.replace(&mut set, next);
            key_removed();
        }
        Ok(SyncedJwks::new(keys, is_changed, skipped))
    }

    /// Fetches the JWK set of the issuer `iss` with `fetch` whenever one of its tokens names a `kid` that
    /// is not known, and [syncs](Self::sync_jwks) it. The request waits for it, at most 250 ms; if the
    /// fetch fails or takes longer, the answer is 503 `store_unavailable`, because the token may be
    /// valid. One fetch at a time, at most 5 s long, and none within 5 s of another. This crate has no
    /// HTTP client: use yours, and return the body of a response with status 200.
    ///
    /// ```
    /// use tower_sliding_session::{JwtKeys, MaybeReady};
    ///
    /// # async fn get(_: &str) -> Result<String, std::io::Error> { Ok(String::new()) }
    /// let keys = JwtKeys::verify_only();
    /// keys.on_unknown_kid("https://idp.example", || {
    ///     MaybeReady::new(async {
    ///         let json = get("https://idp.example/.well-known/jwks.json").await;
    ///         json.map_err(tower_sliding_session::store::StoreError::new)
    ///     })
    /// });
    /// ```
    pub fn on_unknown_kid<F>(&self, iss: &str, fetch: F)
    where
        F: Fn() -> MaybeReady<String> + Send + Sync + 'static,
    {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = KeySet::clone(&set);
        let issuer = next.issuer_mut(iss);
        issuer.fetcher = Some(Arc::new(Fetcher::new(&issuer.iss, Box::new(fetch))));
        self.replace(&mut set, next);
    }

    /// Removes the issuer `iss` and its keys. Its tokens are not valid any more.
    ///
    /// # Errors
    /// [`KeyError`] if the set has no key of this issuer.
    pub fn remove_issuer(&self, iss: &str) -> Result<(), KeyError> {
        self.change(|set| {
            let mut next = set.clone();
            next.issuers.retain(|keys| &*keys.iss != iss);
            if next.issuers.len() == set.issuers.len() {
                let text = "the set has no key of this issuer";
                return Err(KeyError::new(KeyErrorKind::UnknownIssuer, text));
            }
            Ok(next)
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

    /// Whether the set signs tokens.
    pub(crate) fn signs(&self) -> bool {
        self.current().signs()
    }

    /// Whether the set has keys of other issuers.
    pub(crate) fn has_issuers(&self) -> bool {
        self.current().has_issuers()
    }

    fn change(
        &self,
        next: impl FnOnce(&KeySet) -> Result<KeySet, KeyError>,
    ) -> Result<(), KeyError> {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        let next = next(&set)?;
        self.replace(&mut set, next);
        Ok(())
    }

    fn replace(&self, set: &mut Arc<KeySet>, next: KeySet) {
        *set = Arc::new(next);
        self.generation.fetch_add(1, Ordering::Release);
    }
}

impl fmt::Debug for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.current();
        let issuers: Vec<_> = set.issuers.iter().map(|keys| (&keys.iss, &keys.keys)).collect();
        f.debug_struct("JwtKeys").field("own", &set.own).field("issuers", &issuers).finish()
    }
}
