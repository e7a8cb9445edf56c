//! One state of a key set, and the key of a token in it.

use super::{issuer::IssuerKeys, signing::SigningKey, verifying::VerifyingKey};
use crate::token::{
    error::{KeyError, KeyErrorKind},
    purpose::Purpose,
};

/// One state of a key set: our own keys, and those of other issuers.
#[derive(Clone)]
pub(in crate::token) struct KeySet {
    /// `None` in a set that verifies only.
    signing: Option<Signing>,
    /// Our own keys, the signing key among them.
    pub(super) own: Vec<VerifyingKey>,
    pub(super) issuers: Vec<IssuerKeys>,
}

/// The signing key, with the encoded headers of its tokens.
#[derive(Clone)]
struct Signing {
    key: SigningKey,
    access_header: String,
    refresh_header: String,
    ticket_header: String,
}

impl KeySet {
    pub(super) fn new(signing: Option<SigningKey>) -> Self {
        let set = Self { signing: None, own: Vec::new(), issuers: Vec::new() };
        match signing {
            Some(key) => {
                let own = vec![key.verifying.clone()];
                Self { own, ..set }.signed_by(key)
            }
            None => set,
        }
    }

    /// This set with `key`, one of its own, as the signing key.
    pub(super) fn signed_by(self, key: SigningKey) -> Self {
        let header = |purpose| key.verifying.header(purpose);
        let (access_header, refresh_header) = (header(Purpose::Access), header(Purpose::Refresh));
        let ticket_header = header(Purpose::Ticket);
        let signing = Signing { key, access_header, refresh_header, ticket_header };
        Self { signing: Some(signing), ..self }
    }

    /// This set with `key` among our own.
    pub(super) fn with_own(&self, key: VerifyingKey) -> Result<Self, KeyError> {
        let mut set = self.clone();
        add_key(&mut set.own, key)?;
        Ok(set)
    }

    /// The keys of the issuer `iss`, which are added if there are none.
    pub(super) fn issuer_mut(&mut self, iss: &str) -> &mut IssuerKeys {
        let found = self.issuers.iter().position(|keys| &*keys.iss == iss);
        let at = found.unwrap_or_else(|| {
            self.issuers.push(IssuerKeys::new(iss));
            self.issuers.len() - 1
        });
        &mut self.issuers[at]
    }

    pub(in crate::token) fn has_issuers(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// The keys of another issuer.
    pub(in crate::token) fn issuer(&self, iss: &str) -> Option<&IssuerKeys> {
        self.issuers.iter().find(|keys| &*keys.iss == iss)
    }

    /// Our own keys.
    pub(in crate::token) fn own(&self) -> &[VerifyingKey] {
        &self.own
    }

    /// Whether it signs: without a signing key, none of its keys are ours.
    pub(in crate::token) const fn signs(&self) -> bool {
        self.signing.is_some()
    }

    /// The encoded header of the tokens that this set signs for `purpose`.
    pub(in crate::token) fn header(&self, purpose: Purpose) -> Option<&str> {
        let signing = self.signing.as_ref()?;
        Some(match purpose {
            Purpose::Access => &signing.access_header,
            Purpose::Refresh => &signing.refresh_header,
            Purpose::Ticket => &signing.ticket_header,
        })
    }

    /// The key of tokens with the header of this set.
    pub(in crate::token) fn signing_key(&self) -> Option<&VerifyingKey> {
        self.signing.as_ref().map(|signing| &signing.key.verifying)
    }

    pub(in crate::token) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.signing.as_ref().ok_or_else(KeyError::no_signing_key)?.key.sign(message)
    }
}

/// The key for `kid` among `keys`; without a `kid`, the only one or the one marked legacy.
pub(in crate::token) fn find_key<'a>(
    keys: &'a [VerifyingKey],
    kid: Option<&str>,
) -> Option<&'a VerifyingKey> {
    match kid {
        Some(_) => keys.iter().find(|key| key.kid.as_deref() == kid),
        None if keys.len() == 1 => keys.first(),
        None => keys.iter().find(|key| key.legacy),
    }
}

/// Adds `key` to `keys`, where none has its `kid`.
pub(super) fn add_key(keys: &mut Vec<VerifyingKey>, key: VerifyingKey) -> Result<(), KeyError> {
    if keys.iter().any(|listed| listed.kid == key.kid) {
        return Err(KeyError::new(
            KeyErrorKind::DuplicateKid,
            "another key of the set has this `kid`, or neither has one",
        ));
    }
    keys.push(key);
    Ok(())
}
