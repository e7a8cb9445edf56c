//! The parameters and the answer of a sign-in: a session to begin.

use super::{RefreshQuery, SessionLimit, SessionRecord, Tombstone};
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
    /// How many sessions the subject may have. It holds in the same step, but for a session that
    /// replaces one which has not ended.
    pub limit: Option<SessionLimit>,
}

impl SignIn {
    /// Begins a session that replaces none, without a limit.
    #[must_use]
    pub const fn new(record: SessionRecord, audit: AuditRecord) -> Self {
        Self { record, audit, replaces: None, limit: None }
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
pub enum SignInOutcome {
    /// The session has begun.
    Begun(SignedIn),
    /// The subject has as many sessions as it may have, and the limit
    /// [refuses](super::OnSessionLimit::Refuse) another. Nothing was changed.
    Refused,
}

impl SignInOutcome {
    /// Returns what has begun.
    #[must_use]
    pub fn begun(self) -> Option<SignedIn> {
        match self {
            Self::Begun(signed_in) => Some(signed_in),
            Self::Refused => None,
        }
    }
}

/// A session that has begun.
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
