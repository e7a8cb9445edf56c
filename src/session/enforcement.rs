//! What sessions are judged with.

use std::{borrow::Cow, sync::Arc};

use crate::{
    clock::Clock,
    identity::StoreKey,
    policy::{Policy, Profiles, TimeoutOverrides},
    rules::{ExpiryReason, Timeouts},
    store::{AccountPolicies, Revocations, SessionStore},
    time::Timestamp,
    token::VerifiedToken,
};

/// What a layer judges sessions with, and what a session needs of it afterwards.
#[derive(Clone)]
pub(crate) struct Enforcement {
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) clock: Arc<dyn Clock>,
    store: Option<Arc<dyn SessionStore>>,
    /// The store's, asked for once.
    revocations: Option<Arc<Revocations>>,
    account_policies: Option<Arc<AccountPolicies>>,
}

impl Enforcement {
    pub(crate) fn new(profiles: Arc<Profiles>, clock: Arc<dyn Clock>) -> Self {
        Self { profiles, clock, store: None, revocations: None, account_policies: None }
    }

    pub(crate) fn with_store(mut self, store: Arc<dyn SessionStore>) -> Self {
        self.revocations = store.revocations();
        self.account_policies = store.account_policies();
        self.store = Some(store);
        self
    }

    pub(crate) fn store(&self) -> Option<&Arc<dyn SessionStore>> {
        self.store.as_ref()
    }

    /// The policy in force for the session of `token`.
    #[inline(always)]
    pub(crate) fn policy(&self, token: &VerifiedToken) -> Cow<'_, Policy> {
        let profile = token.claims().session_profile.as_deref();
        self.profiles.in_force(profile, self.overrides(token))
    }

    /// What the account's owner has decided.
    #[inline]
    pub(crate) fn overrides(&self, token: &VerifiedToken) -> Option<TimeoutOverrides> {
        self.overrides_of(|| token.scopes().account)
    }

    /// As [`overrides`](Self::overrides); the key is computed only where anyone has decided.
    #[inline]
    pub(crate) fn overrides_of(
        &self,
        account: impl FnOnce() -> Option<StoreKey>,
    ) -> Option<TimeoutOverrides> {
        self.account_policies.as_ref()?.overrides(account)
    }

    /// Whether a mark has revoked the session of `token`.
    #[inline]
    pub(crate) fn is_revoked(&self, token: &VerifiedToken) -> bool {
        self.revocations.as_ref().is_some_and(|revocations| {
            let scopes = || *token.scopes();
            revocations.revoked_by(token.session_key(), token.claims().epoch(), scopes).is_some()
        })
    }

    /// Past this instant the session of `token` cannot be alive, whatever the policies become.
    pub(crate) fn latest_end(&self, token: &VerifiedToken) -> Timestamp {
        let claims = token.claims();
        let longest = || self.profiles.longest_absolute_timeout();
        let absolute = claims.auth_time + claims.abs_max.unwrap_or_else(longest);
        absolute + self.profiles.widest_clock_skew()
    }

    /// Makes the end of a session final that only a shortened policy has ended by `limit`: it does
    /// not live again once the policy is lengthened (P20).
    pub(crate) fn seal(&self, token: &VerifiedToken, limit: ExpiryReason, policy: &Policy) {
        let (claims, limits) = (token.claims(), Timeouts::effective(token.claims(), policy));
        let is_shortened = match limit {
            ExpiryReason::Idle => claims.idle_max.is_some_and(|carried| limits.idle < carried),
            ExpiryReason::Absolute => {
                claims.abs_max.is_some_and(|carried| limits.absolute < carried)
            }
            ExpiryReason::Token => false,
        };
        if let Some(store) = self.store.as_ref().filter(|_| is_shortened) {
            store.write_tombstone(token.session_key(), self.latest_end(token)).detach();
        }
    }

    #[inline]
    pub(super) fn shares_store_with(&self, other: &Self) -> bool {
        if std::ptr::eq(self, other) {
            return self.store.is_some();
        }
        match (&self.store, &other.store) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}
