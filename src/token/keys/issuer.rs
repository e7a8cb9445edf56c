//! The keys of another issuer: its tokens are verified and never renewed (P35).

use std::sync::Arc;

use super::{fetch::Fetcher, verifying::VerifyingKey};

/// The keys of one other issuer.
#[derive(Clone)]
pub(in crate::token) struct IssuerKeys {
    pub(super) iss: Arc<str>,
    pub(super) keys: Vec<VerifyingKey>,
    /// Fetches them where a token names an unknown `kid`.
    pub(super) fetcher: Option<Arc<Fetcher>>,
}

impl IssuerKeys {
    pub(super) fn new(iss: &str) -> Self {
        Self { iss: iss.into(), keys: Vec::new(), fetcher: None }
    }

    pub(in crate::token) const fn fetcher(&self) -> Option<&Arc<Fetcher>> {
        self.fetcher.as_ref()
    }

    pub(in crate::token) fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// Replaces the asymmetric keys; a symmetric one keeps its `kid`. Returns whether that changes
    /// anything.
    pub(super) fn replace_asymmetric(&mut self, mut keys: Vec<VerifyingKey>) -> bool {
        let (symmetric, old): (Vec<_>, Vec<_>) =
            self.keys.iter().cloned().partition(VerifyingKey::is_symmetric);
        keys.retain(|key| symmetric.iter().all(|kept| kept.kid != key.kid));
        let is_kept = |old: &VerifyingKey| keys.iter().any(|key| key.is_same_as(old));
        if old.len() == keys.len() && old.iter().all(is_kept) {
            return false;
        }
        self.keys = keys.into_iter().chain(symmetric).collect();
        true
    }
}
