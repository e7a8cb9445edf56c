//! The audit log and the activity log: typed records, the sinks that keep them, and the bounded
//! queue between a request and its sinks.
//!
//! An [`AuditRecord`] says what happened to a session, an account or a token. An [`ActivityEntry`]
//! says which request counted as activity. Both go through an [`AuditQueue`] to every
//! [`AuditSink`].

mod activity_entry;
mod event;
mod queue;
mod record;
mod refusal_limiter;
mod sink;
mod subject;
mod tracing_sink;

pub use self::{
    activity_entry::ActivityEntry,
    event::{AuditEvent, SessionEndCause},
    queue::AuditQueue,
    record::AuditRecord,
    sink::AuditSink,
    subject::{AuditActor, AuditSubject},
    tracing_sink::TracingSink,
};
