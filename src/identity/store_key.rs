//! The keys of a store.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use sha2::{Digest, Sha256};

/// A 128-bit cryptographic digest of verified identifiers: the only kind of key in a store.
///
/// The digest contains the length of each part before the part, so that different lists of parts
/// have different digests: `("a", "bc")` and `("ab", "c")`, an absent part and an empty one. `Debug`
/// does not show the digest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreKey([u8; 16]);

/// The size of the length of a part in bytes.
const LENGTH: usize = size_of::<u64>();

/// The block size of SHA-256 in bytes.
const BLOCK: usize = 64;

impl StoreKey {
    /// Creates the key of a session: issuer and `sid`.
    #[must_use]
    pub fn session(iss: Option<&str>, sid: &str) -> Self {
        Self::digest(b's', &[iss, Some(sid)])
    }

    /// Creates the key of a user: issuer, account and subject.
    #[must_use]
    pub fn user(iss: Option<&str>, tenant: Option<&str>, sub: &str) -> Self {
        Self::digest(b'u', &[iss, tenant, Some(sub)])
    }

    /// Creates the key of a subject in all accounts: issuer and subject.
    #[must_use]
    pub fn subject(iss: Option<&str>, sub: &str) -> Self {
        Self::digest(b'b', &[iss, Some(sub)])
    }

    /// Creates the key of an account: issuer and `tenant`.
    #[must_use]
    pub fn account(iss: Option<&str>, tenant: &str) -> Self {
        Self::digest(b'a', &[iss, Some(tenant)])
    }

    /// Creates the key of everything of an issuer.
    #[must_use]
    pub fn everything(iss: Option<&str>) -> Self {
        Self::digest(b'e', &[iss])
    }

    /// Creates the key of a ticket: issuer and `jti`.
    pub(crate) fn ticket(iss: Option<&str>, id: &str) -> Self {
        Self::digest(b't', &[iss, Some(id)])
    }

    /// The key of everything of every issuer: no digest has it.
    pub(crate) const EVERY_SESSION: Self = Self([0; 16]);

    /// Creates a key from the bytes that a store has written.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the digest, for a store to write.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn digest(kind: u8, parts: &[Option<&str>]) -> Self {
        // Hashed in one call: many small pieces take 50 % longer.
        let texts = parts.iter().flatten().map(|text| text.len()).sum::<usize>();
        let length = 1 + parts.len() * LENGTH + texts;
        let (mut short, mut long) = ([0; 2 * BLOCK], Vec::new());
        let message = if let Some(short) = short.get_mut(..length) {
            short
        } else {
            long.resize(length, 0);
            &mut long
        };
        message[0] = kind;
        let mut rest = &mut message[1..];
        for part in parts {
            let length = part.map_or(u64::MAX, |text| text.len() as u64);
            let (head, after) = rest.split_at_mut(LENGTH);
            head.copy_from_slice(&length.to_be_bytes());
            let text = part.unwrap_or_default();
            let (slot, after) = after.split_at_mut(text.len());
            slot.copy_from_slice(text.as_bytes());
            rest = after;
        }
        let mut key = [0; 16];
        key.copy_from_slice(&Sha256::digest(message)[..16]);
        Self(key)
    }
}

/// Hashes the key as one integer, not byte by byte.
impl Hash for StoreKey {
    fn hash<H>(&self, state: &mut H)
    where
        H: Hasher,
    {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p14_parts_are_hashed_after_their_lengths() {
        for length in (0..300).chain([8192]) {
            let (iss, sid) = ("i".repeat(length / 3), "s".repeat(length));
            let lengths = [iss.len(), sid.len()].map(|length| (length as u64).to_be_bytes());
            let [iss_length, sid_length] = lengths.each_ref().map(|length| &length[..]);
            let message = [b"s", iss_length, iss.as_bytes(), sid_length, sid.as_bytes()].concat();
            let expected = &Sha256::digest(message)[..16];
            assert_eq!(StoreKey::session(Some(&iss), &sid).as_bytes(), expected, "{length}");
        }
        let absent = [b"e", &u64::MAX.to_be_bytes()[..]].concat();
        assert_eq!(StoreKey::everything(None).as_bytes()[..], Sha256::digest(absent)[..16]);
    }

    #[test]
    fn p14_parts_are_not_concatenated() {
        assert_ne!(StoreKey::session(Some("a"), "bc"), StoreKey::session(Some("ab"), "c"));
        assert_ne!(StoreKey::session(None, "x"), StoreKey::session(Some(""), "x"));
        assert_ne!(StoreKey::user(None, Some("a"), "b"), StoreKey::user(Some("a"), None, "b"));
        assert_ne!(StoreKey::session(None, "x"), StoreKey::user(None, None, "x"));
        assert_ne!(StoreKey::subject(None, "x"), StoreKey::session(None, "x"));
        assert_ne!(StoreKey::account(None, "x"), StoreKey::session(None, "x"));
        assert_ne!(StoreKey::subject(None, "x"), StoreKey::account(None, "x"));
        assert_ne!(StoreKey::subject(None, "x"), StoreKey::user(None, None, "x"));
        assert_ne!(StoreKey::account(None, "x"), StoreKey::everything(Some("x")));
    }
}
