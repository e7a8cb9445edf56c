//! The record of a session that begins with a token of before, not with a sign-in.

use super::Enforcement;
use crate::{
    maybe_ready::MaybeReady,
    rules::{self, Timeouts},
    store::SessionRecord,
    time::Timestamp,
    token::VerifiedToken,
};

impl Enforcement {
    /// The record of the session of `token`, for a store that has none.
    pub(crate) fn session_record(
        &self,
        token: &VerifiedToken,
        last_activity: Timestamp,
    ) -> SessionRecord {
        let claims = token.claims();
        let Timeouts { idle, absolute, .. } = Timeouts::effective(claims, &self.policy(token));
        let (key, scopes) = (token.session_key(), *token.scopes());
        let mut record =
            SessionRecord::from_claims(key, scopes, claims, idle, absolute, last_activity);
        record.epoch = self.epoch(token);
        record.is_adopted = token.is_adopted();
        record.ends_at = record.ends_at.max(rules::adopted_until(claims));
        record
    }

    /// Begins the record of the session of `token`, if it is one of an earlier system: it is listed,
    /// counted and ended like others. `None` if no record is needed, or the store keeps none.
    #[cold]
    pub(crate) fn adopt(&self, token: &VerifiedToken, now: Timestamp) -> Option<MaybeReady<()>> {
        if token.is_foreign() || !token.is_adopted() {
            return None;
        }
        let store = self.lifecycle_store()?;
        Some(store.adopt(self.session_record(token, now)))
    }
}
