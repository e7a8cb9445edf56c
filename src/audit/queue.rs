//! From events to wherever they are kept, without a request waiting for it.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::{AuditEvent, AuditSubject};
use crate::{audit::AuditRecord, maybe_ready::MaybeReady, time::Timestamp};

/// How many rows wait at most.
const QUEUED: usize = 4_096;

/// How many rows are handed over at once.
const BATCH: usize = 256;

/// Where audit events and activities are kept.
pub trait AuditSink: Send + Sync + 'static {
    /// Keeps `rows`. May be slow, and may fail: no request waits for it.
    fn record(&self, rows: Vec<AuditRecord>) -> MaybeReady<()>;

    /// Whether anything is kept at all; where not, rows are not even made.
    fn is_enabled(&self) -> bool {
        true
    }
}

impl<T> AuditSink for Arc<T>
where
    T: AuditSink + ?Sized,
{
    fn record(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        (**self).record(rows)
    }

    fn is_enabled(&self) -> bool {
        (**self).is_enabled()
    }
}

/// Tells events to `tracing`, at the target `session_audit`: their names and details, and nobody's
/// identity. The default where no lifecycle store was set.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

impl AuditSink for TracingSink {
    fn record(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
        for AuditRecord { at, event, detail, .. } in rows {
            tracing::info!(target: "session_audit", %at, %event, %detail);
        }
        MaybeReady::ready(Ok(()))
    }

    fn is_enabled(&self) -> bool {
        tracing::enabled!(target: "session_audit", tracing::Level::INFO)
    }
}

/// Takes events from the request path to an [`AuditSink`]: a bounded queue, and one task that
/// empties it. What the queue has no room for, or the sink fails to keep, is dropped and counted.
///
/// Cheap to clone. The task starts with the first event and ends with the last clone.
#[derive(Clone)]
pub struct AuditQueue(Arc<Inner>);

struct Inner {
    sink: Arc<dyn AuditSink>,
    queue: OnceLock<mpsc::Sender<Entry>>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Row(AuditRecord),
    /// Everything before it has been handed over.
    Flushed(oneshot::Sender<()>),
}

impl AuditQueue {
    /// A journal that ends in `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self(Arc::new(Inner { sink, queue: OnceLock::new(), dropped: Arc::default() }))
    }

    /// Notes that `event` happened to whom it is about. Never waits.
    pub fn note(&self, event: &AuditEvent, at: Timestamp, about: &AuditSubject) {
        if self.0.sink.is_enabled() {
            self.append(event.row(at, about));
        }
    }

    /// Appends a row. Never waits; without a Tokio runtime there is nobody to hand it over, and it
    /// counts as dropped.
    pub fn append(&self, row: AuditRecord) {
        let queued = self.queue().is_some_and(|queue| queue.try_send(Entry::Row(row)).is_ok());
        if !queued {
            self.0.dropped.fetch_add(1, Relaxed);
        }
    }

    /// How many rows were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }

    /// Completes once everything noted so far has been handed over; for a shutdown.
    pub async fn flush(&self) {
        let Some(queue) = self.queue() else { return };
        let (flushed, done) = oneshot::channel();
        if queue.send(Entry::Flushed(flushed)).await.is_ok() {
            // An error means that the task is gone, and with it what it had.
            let _ = done.await;
        }
    }

    fn queue(&self) -> Option<&mpsc::Sender<Entry>> {
        let Inner { sink, queue, dropped } = &*self.0;
        if queue.get().is_none() {
            let runtime = tokio::runtime::Handle::try_current().ok()?;
            queue.get_or_init(|| {
                let (sender, receiver) = mpsc::channel(QUEUED);
                runtime.spawn(hand_over(receiver, Arc::clone(sink), Arc::clone(dropped)));
                sender
            });
        }
        queue.get()
    }
}

async fn hand_over(
    mut queue: mpsc::Receiver<Entry>,
    sink: Arc<dyn AuditSink>,
    dropped: Arc<AtomicU64>,
) {
    let mut entries = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut entries, BATCH).await > 0 {
        let mut rows = Vec::with_capacity(entries.len());
        let mut flushed = Vec::new();
        for entry in entries.drain(..) {
            match entry {
                Entry::Row(row) => rows.push(row),
                Entry::Flushed(sender) => flushed.push(sender),
            }
        }
        let count = rows.len() as u64;
        if count > 0
            && let Err(error) = sink.record(rows).await
        {
            dropped.fetch_add(count, Relaxed);
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                count,
                "audit events were dropped"
            );
        }
        for sender in flushed {
            // Whoever asked may have gone.
            let _ = sender.send(());
        }
    }
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditQueue").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{borrow::Cow, sync::Mutex};

    use super::*;
    use crate::maybe_ready::StoreError;

    #[derive(Default)]
    struct Notebook {
        rows: Mutex<Vec<Cow<'static, str>>>,
        fails: bool,
    }

    impl AuditSink for Notebook {
        fn record(&self, rows: Vec<AuditRecord>) -> MaybeReady<()> {
            if self.fails {
                return MaybeReady::ready(Err(StoreError::new("full")));
            }
            let names = rows.into_iter().map(|row| row.event);
            self.rows.lock().expect("no panic").extend(names);
            MaybeReady::ready(Ok(()))
        }
    }

    fn note(audit_queue: &AuditQueue, event: &AuditEvent) {
        audit_queue.note(event, Timestamp::EPOCH, &AuditSubject::default());
    }

    #[tokio::test]
    async fn events_arrive_in_their_order() {
        let notebook = Arc::new(Notebook::default());
        let audit_queue = AuditQueue::new(Arc::clone(&notebook) as Arc<dyn AuditSink>);
        note(&audit_queue, &AuditEvent::SessionStarted);
        note(&audit_queue, &AuditEvent::SessionEnded);
        audit_queue.flush().await;
        assert_eq!(*notebook.rows.lock().expect("no panic"), ["session_started", "session_ended"]);
        assert_eq!(audit_queue.dropped(), 0);
    }

    #[tokio::test]
    async fn what_does_not_fit_or_is_not_kept_is_counted() {
        let audit_queue =
            AuditQueue::new(Arc::new(Notebook { fails: true, ..Notebook::default() }));
        (0..QUEUED + 3).for_each(|_| note(&audit_queue, &AuditEvent::SessionStarted));
        assert_eq!(audit_queue.dropped(), 3);
        audit_queue.flush().await;
        assert_eq!(audit_queue.dropped(), QUEUED as u64 + 3);
    }

    #[test]
    fn without_a_runtime_nothing_waits() {
        let audit_queue = AuditQueue::new(Arc::new(Notebook::default()));
        note(&audit_queue, &AuditEvent::SessionStarted);
        assert_eq!(audit_queue.dropped(), 1);
    }

    #[test]
    fn nothing_is_made_for_a_sink_that_keeps_nothing() {
        let audit_queue = AuditQueue::new(Arc::new(TracingSink));
        note(&audit_queue, &AuditEvent::SessionStarted);
        assert_eq!(audit_queue.dropped(), 0);
    }
}
