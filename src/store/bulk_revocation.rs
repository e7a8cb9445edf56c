//! Bulk revocation: all sessions of a scope at once.

use std::time::Duration;

use super::RevocationCutoff;
use crate::{
    audit::AuditRecord,
    identity::{Scope, Scopes, StoreKey},
    time::Timestamp,
};

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
}

/// The sessions that a bulk revocation does not revoke, of those active at the call.
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
