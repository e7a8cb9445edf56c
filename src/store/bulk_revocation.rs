//! Bulk revocation: all sessions of a scope at once.

use super::RevocationCutoff;
use crate::{
    audit::AuditRecord,
    identity::{Scope, StoreKey},
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
}
