//! What the memory store knows of sessions beyond their last activity.

mod evictions;
mod logs;
mod records;
mod tickets;
mod tombstones;

use self::{logs::Log, records::Records, tickets::Tickets, tombstones::Tombstones};
pub(super) use self::{
    records::{Expiry, Origin, cursor},
    tombstones::Kind,
};
use crate::{
    audit::{ActivityEntry, AuditRecord},
    time::Timestamp,
};

/// Records, the order of the tombstones, tickets, and logs, behind one lock.
pub(super) struct LifecycleState {
    pub(super) records: Records,
    pub(super) tombstones: Tombstones,
    pub(super) tickets: Tickets,
    pub(super) audit_log: Log<AuditRecord>,
    pub(super) activity_log: Log<ActivityEntry>,
    /// The number of bulk revocations and folds so far: every so many of them remove expired cutoffs.
    pub(super) revocations: usize,
    /// The latest number of any change of claims.
    pub(super) claims_number: Timestamp,
    /// The number of changes of claims so far: every so many of them remove expired numbers.
    pub(super) claims_changes: usize,
}

impl LifecycleState {
    pub(super) fn new(max_sessions: usize) -> Self {
        Self {
            records: Records::new(max_sessions),
            tombstones: Tombstones::new(max_sessions),
            tickets: Tickets::new(max_sessions),
            audit_log: Log::default(),
            activity_log: Log::default(),
            revocations: 0,
            claims_number: Timestamp::EPOCH,
            claims_changes: 0,
        }
    }
}
