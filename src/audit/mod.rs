//! The audit trail: typed events, the bounded queue that carries them, and the sinks that keep them.

mod event;
mod queue;
mod record;

pub use self::{
    event::{AuditEvent, AuditSubject},
    queue::{AuditQueue, AuditSink, TracingSink},
    record::{AuditRecord, LogCategory, UnknownCategory},
};
