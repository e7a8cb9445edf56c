//! What a store is keyed by.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use sha2::{Digest, Sha256};

/// A 128-bit cryptographic digest of verified identifiers, the only thing a store is keyed by.
///
/// Each part enters the digest behind its length, so that no two lists of parts are confused
/// (`("a", "bc")` is not `("ab", "c")`), and an absent part is not an empty one. Its `Debug` shows
/// nothing of the digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of a session: its issuer and `sid`.
    #[must_use]
    pub fn session(iss: Option<&str>, sid: &str) -> Self {
        Self::digest(b's', &[iss, Some(sid)])
    }

    /// The key of a user: issuer, account and subject.
    #[must_use]
    pub fn user(iss: Option<&str>, tenant: Option<&str>, sub: &str) -> Self {
        Self::digest(b'u', &[iss, tenant, Some(sub)])
    }

    /// The key of an account: issuer and `tenant`.
    #[must_use]
    pub fn account(iss: Option<&str>, tenant: &str) -> Self {
        Self::digest(b'a', &[iss, Some(tenant)])
    }

    /// The key of everything that an issuer has signed.
    #[must_use]
    pub fn everything(iss: Option<&str>) -> Self {
        Self::digest(b'e', &[iss])
    }

    /// The key of a token: issuer and `jti`.
    #[must_use]
    pub fn token(iss: Option<&str>, jti: &str) -> Self {
        Self::digest(b't', &[iss, Some(jti)])
    }

    /// A key that a store has kept elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The digest's bytes, for stores that keep keys elsewhere.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn digest(kind: u8, parts: &[Option<&str>]) -> Self {
        let mut digest = Sha256::new();
        digest.update([kind]);
        for part in parts {
            let length = part.map_or(u64::MAX, |text| text.len() as u64);
            digest.update(length.to_be_bytes());
            digest.update(part.unwrap_or_default());
        }
        let mut key = [0; 16];
        key.copy_from_slice(&digest.finalize()[..16]);
        Self(key)
    }
}

/// At once, not byte by byte.
impl Hash for Key {
    fn hash<H>(&self, state: &mut H)
    where
        H: Hasher,
    {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p14_parts_are_not_concatenated() {
        assert_ne!(Key::session(Some("a"), "bc"), Key::session(Some("ab"), "c"));
        assert_ne!(Key::session(None, "x"), Key::session(Some(""), "x"));
        assert_ne!(Key::user(None, Some("a"), "b"), Key::user(Some("a"), None, "b"));
        assert_ne!(Key::session(None, "x"), Key::user(None, None, "x"));
        assert_ne!(Key::session(None, "x"), Key::token(None, "x"));
        assert_ne!(Key::account(None, "x"), Key::session(None, "x"));
        assert_ne!(Key::account(None, "x"), Key::everything(Some("x")));
    }
}
