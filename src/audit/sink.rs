//! What keeps audit records and activity entries.

use std::sync::Arc;

use super::{ActivityEntry, AuditRecord};
use crate::maybe_ready::MaybeReady;

/// Keeps audit records and, if it wants, activity entries.
///
/// Every sink receives every record, in batches and in the order in which they happened, on a
/// task of its own. A sink may be slow and may fail: no request waits for it, and the records that
/// it does not keep are counted by [`AuditQueue::dropped`](super::AuditQueue::dropped).
pub trait AuditSink: Send + Sync + 'static {
    /// Keeps `records`.
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()>;

    /// Keeps `entries` of the activity log; discards them by default.
    fn record_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        drop(entries);
        MaybeReady::ready(Ok(()))
    }

    /// Returns whether the sink keeps anything at the moment. While it does not, nothing is queued
    /// for it.
    fn is_enabled(&self) -> bool {
        true
    }
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> AuditSink for Arc<T>
where
    T: AuditSink + ?Sized,
{
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        (**self).record(records)
    }

    fn record_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        (**self).record_activity(entries)
    }

    fn is_enabled(&self) -> bool {
        (**self).is_enabled()
    }
}
