//! Audit records as `tracing` events.

use std::sync::Arc;

use super::{ActivityEntry, AuditEvent, AuditRecord, AuditSink};
use crate::maybe_ready::MaybeReady;

/// Emits audit records as `tracing` events: target `session_audit`, level `INFO`, with the fields
/// `at`, `event` and `detail`. Renewals and activity entries, which are many, have level `DEBUG`.
///
/// The events contain no digests and no plain `sub`. The hub always has this sink; turn it off
/// with your subscriber's filter (`session_audit=off`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

impl AuditSink for TracingSink {
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        for AuditRecord { at, event, .. } in &*records {
            let (name, detail) = (event.name(), event.detail());
            if *event == AuditEvent::SessionRenewed {
                tracing::debug!(target: "session_audit", %at, event = name, %detail);
            } else {
                tracing::info!(target: "session_audit", %at, event = name, %detail);
            }
        }
        MaybeReady::ready(Ok(()))
    }

    fn record_activity(&self, entries: Arc<[ActivityEntry]>) -> MaybeReady<()> {
        for entry in &*entries {
            let ActivityEntry { at, method, status, code, .. } = entry;
            let (route, code) = (entry.route.as_deref(), code.as_deref());
            tracing::debug!(
                target: "session_audit", %at, event = "request", %method, route, status, code,
            );
        }
        MaybeReady::ready(Ok(()))
    }

    fn is_enabled(&self) -> bool {
        tracing::enabled!(target: "session_audit", tracing::Level::INFO)
    }
}
