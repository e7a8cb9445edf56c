//! The parameters and the answer of a sign-in: a session to begin.

use super::{RefreshQuery, SessionRecord, Tombstone};
use crate::{audit::AuditRecord, time::Timestamp};

/// A session to begin. `Debug` shows times only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignIn {
    /// The record of the session.
    pub record: SessionRecord,
    /// Written if the session begins.
    pub audit: AuditRecord,
    /// The session that ends in the same step, and whose label the new one has unless its record
    /// has another; of a step-up.
    pub replaces: Option<ReplacedSession>,
}

impl SignIn {
    /// Begins a session that replaces none.
    #[must_use]
    pub const fn new(record: SessionRecord, audit: AuditRecord) -> Self {
        Self { record, audit, replaces: None }
    }
}

/// The session that a step-up replaces. `Debug` shows times only.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplacedSession {
    /// The session, its epoch and its scopes.
    pub query: RefreshQuery,
    /// Its tombstone.
    pub tombstone: Tombstone,
    /// Written if the session had no tombstone.
    pub audit: AuditRecord,
}

impl ReplacedSession {
    /// Creates it.
    #[must_use]
    pub const fn new(query: RefreshQuery, tombstone: Tombstone, audit: AuditRecord) -> Self {
        Self { query, tombstone, audit }
    }
}

/// The answer to a [`SignIn`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignedIn {
    /// The epoch of the session.
    pub epoch: Timestamp,
    /// The audit records of the sessions that it has ended, as they were written.
    pub ended: Vec<AuditRecord>,
}

impl SignedIn {
    /// The session began at `epoch` and ended no other.
    #[must_use]
    pub const fn new(epoch: Timestamp) -> Self {
        Self { epoch, ended: Vec::new() }
    }
}
