use std::sync::Mutex;

use super::*;
use crate::{
    audit::{AuditEvent, AuditSubject, SessionEndCause, TracingSink},
    maybe_ready::StoreError,
    time::Timestamp,
};

/// Keeps the names of events.
#[derive(Default)]
struct Names {
    received: Mutex<Vec<String>>,
    is_full: bool,
    is_stuck: bool,
}

impl Names {
    fn names(&self) -> Vec<String> {
        self.received.lock().expect("no test panics while it holds the lock").clone()
    }
}

impl AuditSink for Names {
    fn record(&self, records: Arc<[AuditRecord]>) -> MaybeReady<()> {
        if self.is_stuck {
            return MaybeReady::new(std::future::pending());
        }
        if self.is_full {
            return MaybeReady::ready(Err(StoreError::new("full")));
        }
        let names = records.iter().map(|record| record.event.name().to_owned());
        self.received.lock().expect("no test panics while it holds the lock").extend(names);
        MaybeReady::ready(Ok(()))
    }
}

fn record(event: AuditEvent) -> AuditRecord {
    AuditRecord::new(Timestamp::EPOCH, event, AuditSubject::default())
}

#[tokio::test]
async fn every_sink_receives_every_record_in_order() {
    let sinks = [Arc::new(Names::default()), Arc::new(Names::default())];
    let queue = AuditQueue::new(sinks.iter().map(|sink| Arc::clone(sink) as _).collect());
    queue.record(record(AuditEvent::SessionStarted));
    let ended = AuditEvent::SessionEnded { cause: SessionEndCause::SignedOut };
    queue.record(record(ended));
    queue.flush().await;
    for sink in sinks {
        assert_eq!(sink.names(), ["session_started", "session_ended"]);
    }
    assert_eq!(queue.dropped(), 0);
}

#[tokio::test]
async fn a_committed_record_is_not_delivered_to_the_log_of_its_store() {
    let (store_log, sink) = (Arc::new(Names::default()), Arc::new(Names::default()));
    let queue =
        AuditQueue::with_store_log(Arc::clone(&store_log) as _, vec![Arc::clone(&sink) as _]);
    queue.record_committed(record(AuditEvent::SessionStarted));
    queue.record(record(AuditEvent::SessionRenewed));
    queue.flush().await;
    assert_eq!(store_log.names(), ["session_renewed"]);
    assert_eq!(sink.names(), ["session_started", "session_renewed"]);
}

#[tokio::test]
async fn a_slow_sink_delays_neither_another_sink_nor_the_log_of_the_store() {
    let slow = Arc::new(Names { is_stuck: true, ..Names::default() });
    let store_log = Arc::new(Names::default());
    let queue = AuditQueue::with_store_log(Arc::clone(&store_log) as _, vec![slow as _]);
    queue.record(record(AuditEvent::SessionRenewed));
    queue.flush_store_log().await;
    assert_eq!(store_log.names(), ["session_renewed"]);
}

#[tokio::test]
async fn records_without_room_or_that_a_sink_fails_to_keep_are_counted() {
    let queue = AuditQueue::new(vec![Arc::new(Names { is_full: true, ..Names::default() })]);
    (0..QUEUED + 3).for_each(|_| queue.record(record(AuditEvent::SessionStarted)));
    assert_eq!(queue.dropped(), 3);
    queue.flush().await;
    assert_eq!(queue.dropped(), QUEUED as u64 + 3);
}

#[tokio::test]
async fn p40_repeatable_events_leave_half_of_a_queue_to_others() {
    let queue = AuditQueue::new(vec![Arc::new(Names::default())]);
    (0..QUEUED).for_each(|_| queue.record(record(AuditEvent::SessionRenewed)));
    assert_eq!(queue.dropped(), RESERVED as u64);
    (0..RESERVED).for_each(|_| queue.record(record(AuditEvent::SessionStarted)));
    assert_eq!(queue.dropped(), RESERVED as u64);
    let ended = AuditEvent::SessionEnded { cause: SessionEndCause::SignedOut };
    queue.record(record(ended));
    assert_eq!(queue.dropped(), RESERVED as u64 + 1);
}

#[test]
fn outside_of_a_runtime_records_are_dropped_and_counted() {
    let queue = AuditQueue::new(vec![Arc::new(Names::default())]);
    queue.record(record(AuditEvent::SessionStarted));
    assert_eq!(queue.dropped(), 1);
}

#[test]
fn nothing_is_queued_for_a_disabled_sink() {
    let queue = AuditQueue::new(vec![Arc::new(TracingSink)]);
    queue.record(record(AuditEvent::SessionStarted));
    assert_eq!(queue.dropped(), 0);
}

#[test]
fn plain_subjects_are_kept_only_on_request() {
    let queue = AuditQueue::new(Vec::new());
    assert_eq!(queue.plain_subject("ada"), None);
    assert_eq!(queue.plain_subjects().plain_subject("ada").as_deref(), Some("ada"));
}
