//! The logs of a lifecycle store as an audit sink.

use std::sync::Arc;

use super::LifecycleStore;
use crate::{
    audit::{ActivityEntry, AuditRecord, AuditSink},
    maybe_ready::MaybeReady,
};

/// Appends audit records and activity entries to the logs of a lifecycle store.
pub(crate) struct StoreLog(pub(crate) Arc<dyn LifecycleStore>);

impl AuditSink for StoreLog {
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        self.0.append_audit(records)
    }

    fn record_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        self.0.append_activity(entries)
    }
}
