//! Bulk revocation: all sessions of a scope at once.

use std::time::Duration;

use super::{RevocationCutoff, Revocations};
use crate::{
    audit::AuditRecord,
    identity::{Scope, Scopes, StoreKey},
    maybe_ready::StoreError,
    time::Timestamp,
};

/// Why the sessions of a user cannot be exempt.
pub(super) const UNRECORDED_SESSIONS: &str = "the user may have active sessions that the store has no \
    record of, and would revoke: exempt the sessions by their keys (`Exempt::Sessions`), or revoke without \
    an exemption";

/// Why a session that is named cannot be exempt.
pub(super) const UNRECORDED_SESSION: &str = "the store has no record of an exempt session, and cannot tell \
    whether an earlier revocation has ended it: let its own request revoke the others \
    (`Exempt::Caller`), or revoke without the exemption";

/// Revokes all sessions of a scope.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BulkRevocation {
    /// The scope.
    pub scope: Scope,
    /// The sessions of the scope that are not revoked.
    pub exempt: Exempt,
    /// When the revocation was requested.
    pub now: Timestamp,
    /// The cutoff to raise.
    pub cutoff: RevocationCutoff,
    /// The audit record to write; the store sets its count.
    pub audit: AuditRecord,
}

impl BulkRevocation {
    /// Creates a revocation without exempt sessions.
    #[must_use]
    pub const fn new(
        scope: Scope,
        now: Timestamp,
        cutoff: RevocationCutoff,
        audit: AuditRecord,
    ) -> Self {
        Self { scope, exempt: Exempt::None, now, cutoff, audit }
    }

    /// Whether a session that is named, is active and has no record is exempt: if no cutoff of its scopes, of
    /// which the store knows `own`, has revoked it before.
    ///
    /// # Errors
    /// If a cutoff may have, of a scope that may be its own.
    pub(super) fn exempts_unrecorded(
        &self,
        session: &StoreKey,
        last_seen: Timestamp,
        own: &[StoreKey],
        revocations: &Revocations,
    ) -> Result<bool, StoreError> {
        let exempt_until = revocations.exempt_until(session).unwrap_or_default();
        // It was not active after the cutoff.
        let may_revoke = |at: Timestamp| last_seen <= at && exempt_until < at;
        let known = own.iter().copied().chain([self.scope.key(), StoreKey::EVERY_SESSION]);
        if known.filter_map(|scope| revocations.cutoff_of(&scope)).any(may_revoke) {
            return Ok(false);
        }
        let mut cutoffs = revocations.all_cutoffs().into_iter().map(|(_, cutoff)| cutoff);
        if cutoffs.any(|cutoff| self.now < cutoff.until && may_revoke(cutoff.at)) {
            return Err(StoreError::new(UNRECORDED_SESSION));
        }
        Ok(true)
    }
}

/// The sessions that a bulk revocation does not revoke, of those active at the call.
///
/// A revocation fails, and revokes nothing, if a store would have to guess: where sessions of an exempt user
/// that have lost their record, and where a named session without a record may have been revoked before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exempt {
    /// No session.
    #[default]
    None,
    /// These sessions, by [`StoreKey::session`].
    Sessions(Vec<StoreKey>),
    /// The sessions of one user, by [`StoreKey::user`].
    User(StoreKey),
    /// The session of the caller, also if the store has no record of it.
    Caller(CallerSession),
    /// The sessions of the caller's user, and the caller's own also if the store has no record of it.
    UserOfCaller(CallerSession),
}

impl Exempt {
    /// The user whose sessions are exempt.
    pub(super) const fn user(&self) -> Option<StoreKey> {
        match self {
            Self::User(user) => Some(*user),
            Self::UserOfCaller(caller) => Some(caller.scopes.user),
            Self::None | Self::Sessions(_) | Self::Caller(_) => None,
        }
    }

    /// The session of the caller, if it is exempt.
    pub(super) const fn caller(&self) -> Option<&CallerSession> {
        match self {
            Self::Caller(session) | Self::UserOfCaller(session) => Some(session),
            Self::None | Self::Sessions(_) | Self::User(_) => None,
        }
    }
}

/// The session of the request that revokes others. What a store cannot know of a session without a
/// record, its token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallerSession {
    /// [`StoreKey::session`].
    pub key: StoreKey,
    /// Its scopes.
    pub scopes: Scopes,
    /// Its epoch: a cutoff at or after it has revoked it.
    pub epoch: Timestamp,
    /// Its idle timeout.
    pub idle: Duration,
}

impl CallerSession {
    /// Creates the session of a caller.
    #[must_use]
    pub const fn new(key: StoreKey, scopes: Scopes, epoch: Timestamp, idle: Duration) -> Self {
        Self { key, scopes, epoch, idle }
    }
}
