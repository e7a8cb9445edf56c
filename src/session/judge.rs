//! What sessions are judged with.

use std::{borrow::Cow, sync::Arc};

use crate::{
    clock::Clock,
    rules::{Overrides, Policy, Profiles},
    store::{Bulletin, SessionStore},
    token::VerifiedToken,
};

/// What a layer judges sessions with, and what a session needs of it afterwards.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) store: Option<Arc<dyn SessionStore>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Judge {
    /// The policy in force for the session of `token`.
    pub(crate) fn policy(&self, token: &VerifiedToken) -> Cow<'_, Policy> {
        let profile = token.claims().session_profile.as_deref();
        self.profiles.in_force(profile, self.overrides(token))
    }

    /// What the account's owner has decided.
    pub(crate) fn overrides(&self, token: &VerifiedToken) -> Option<Overrides> {
        self.bulletin()?.overrides(|| token.scopes().account)
    }

    /// Whether a mark has revoked the session of `token`.
    pub(crate) fn is_revoked(&self, token: &VerifiedToken) -> bool {
        self.bulletin().is_some_and(|bulletin| {
            let scopes = || *token.scopes();
            bulletin.is_revoked(token.session_key(), token.claims().epoch(), scopes)
        })
    }

    fn bulletin(&self) -> Option<&Bulletin> {
        self.store.as_ref()?.bulletin()
    }

    pub(super) fn shares_store_with(&self, other: &Self) -> bool {
        match (&self.store, &other.store) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}
