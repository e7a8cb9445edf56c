//! The bounded queues between a request and the audit sinks.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::{ActivityEntry, AuditRecord, AuditSink, refusal_limiter::RefusalLimiter};
use crate::{maybe_ready::MaybeReady, metrics};

/// How many records wait for one sink at most.
const QUEUED: usize = 4_096;

/// How many places of a queue only records take whose event is not repeatable: a client that
/// repeats its requests must not push out the records of others.
const RESERVED: usize = QUEUED / 2;

/// How many records a sink receives at once at most.
const BATCH: usize = 256;

/// Takes audit records and activity entries from the request path to every [`AuditSink`].
///
/// Each sink has a bounded queue and a task of its own, so a slow sink delays no other. Queueing
/// never waits. A record that finds no room in a queue, or that a sink fails to keep, is dropped
/// and counted. Activity entries and [repeatable](super::AuditEvent::is_repeatable) events take
/// at most half of a queue. A refusal of one session with the same code is queued once a minute.
///
/// Cheap to clone. The tasks start with the first record and end with the last clone.
#[derive(Clone)]
pub struct AuditQueue {
    queues: Arc<[SinkQueue]>,
    refusals: Arc<RefusalLimiter>,
    plain_subjects: bool,
}

/// The queue of one sink.
struct SinkQueue {
    sink: Arc<dyn AuditSink>,
    /// Whether the sink is the log of the lifecycle store, which writes the records of its own
    /// transactions itself.
    is_store_log: bool,
    sender: OnceLock<mpsc::Sender<Item>>,
    dropped: Arc<AtomicU64>,
}

enum Item {
    Record(AuditRecord),
    Activity(ActivityEntry),
    /// Sent back once everything before it has been delivered.
    Flushed(oneshot::Sender<()>),
}

impl Item {
    fn is_repeatable(&self) -> bool {
        match self {
            Self::Record(record) => record.event.is_repeatable(),
            Self::Activity(_) => true,
            Self::Flushed(_) => false,
        }
    }
}

impl AuditQueue {
    /// Creates a queue for `sinks`.
    #[must_use]
    pub fn new(sinks: Vec<Arc<dyn AuditSink>>) -> Self {
        Self::from_queues(sinks.into_iter().map(|sink| SinkQueue::new(sink, false)))
    }

    /// Creates a queue for the log of the lifecycle store and for `sinks`.
    pub(crate) fn with_store_log(
        store_log: Arc<dyn AuditSink>,
        sinks: Vec<Arc<dyn AuditSink>>,
    ) -> Self {
        let store_log = std::iter::once(SinkQueue::new(store_log, true));
        let sinks = sinks.into_iter().map(|sink| SinkQueue::new(sink, false));
        Self::from_queues(store_log.chain(sinks))
    }

    fn from_queues(queues: impl Iterator<Item = SinkQueue>) -> Self {
        Self { queues: queues.collect(), refusals: Arc::default(), plain_subjects: false }
    }

    /// Keeps the plain `sub` in records beside its digest. It is personal data, so records do not
    /// contain it by default.
    #[must_use]
    pub const fn plain_subjects(mut self) -> Self {
        self.plain_subjects = true;
        self
    }

    /// Returns `sub` for a record, if plain subjects are kept.
    #[must_use]
    pub fn plain_subject(&self, sub: &str) -> Option<Arc<str>> {
        self.plain_subjects.then(|| Arc::from(sub))
    }

    /// Queues a record for every sink. Never waits. Outside of a Tokio runtime the record is
    /// dropped and counted. A refusal that was queued within the last minute is not queued again.
    pub fn record(&self, record: AuditRecord) {
        if self.refusals.permits(&record) {
            self.send(record, |_| true, Item::Record);
        }
    }

    /// Queues a record that the lifecycle store wrote to its own log in a transaction, which has
    /// been committed: for every sink but that log.
    pub(crate) fn record_committed(&self, record: AuditRecord) {
        self.send(record, |queue| !queue.is_store_log, Item::Record);
    }

    /// Queues an activity entry for every sink. Never waits.
    pub fn record_activity(&self, entry: ActivityEntry) {
        self.send(entry, |_| true, Item::Activity);
    }

    /// Returns how many records and entries were dropped so far, over all sinks.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queues.iter().map(|queue| queue.dropped.load(Relaxed)).sum()
    }

    /// Completes once every sink has received everything queued so far; for a shutdown.
    pub async fn flush(&self) {
        let mut flushed = Vec::new();
        for queue in &*self.queues {
            flushed.push(queue.begin_flush().await);
        }
        for flushed in flushed.into_iter().flatten() {
            // An error means that the task has ended, and its queue with it.
            let _ = flushed.await;
        }
    }

    /// Completes once the store's log has received everything queued so far.
    pub(crate) async fn flush_store_log(&self) {
        for queue in self.queues.iter().filter(|queue| queue.is_store_log) {
            if let Some(flushed) = queue.begin_flush().await {
                let _ = flushed.await;
            }
        }
    }

    fn send<T: Clone>(&self, item: T, is_for: impl Fn(&SinkQueue) -> bool, wrap: fn(T) -> Item) {
        let mut queues =
            self.queues.iter().filter(|queue| is_for(queue) && queue.sink.is_enabled()).peekable();
        while let Some(queue) = queues.next() {
            if queues.peek().is_none() {
                queue.send(wrap(item));
                return;
            }
            queue.send(wrap(item.clone()));
        }
    }
}

impl SinkQueue {
    fn new(sink: Arc<dyn AuditSink>, is_store_log: bool) -> Self {
        Self { sink, is_store_log, sender: OnceLock::new(), dropped: Arc::default() }
    }

    fn send(&self, item: Item) {
        let reserved = if item.is_repeatable() { RESERVED } else { 0 };
        let sender = self.sender().filter(|sender| sender.capacity() > reserved);
        if sender.is_none_or(|sender| sender.try_send(item).is_err()) {
            self.dropped.fetch_add(1, Relaxed);
            metrics::count_audit_dropped(1);
        }
    }

    /// Returns `None` if nothing was ever queued, or the task has ended.
    async fn begin_flush(&self) -> Option<oneshot::Receiver<()>> {
        let (sender, flushed) = oneshot::channel();
        self.sender.get()?.send(Item::Flushed(sender)).await.ok()?;
        Some(flushed)
    }

    fn sender(&self) -> Option<&mpsc::Sender<Item>> {
        if self.sender.get().is_none() {
            let runtime = tokio::runtime::Handle::try_current().ok()?;
            self.sender.get_or_init(|| {
                let (sender, receiver) = mpsc::channel(QUEUED);
                let delivery =
                    Delivery { sink: Arc::clone(&self.sink), dropped: Arc::clone(&self.dropped) };
                runtime.spawn(delivery.run(receiver));
                sender
            });
        }
        self.sender.get()
    }
}

/// What a sink receives next: of records and entries one kind at a time, to keep their order.
#[derive(Default)]
struct Batch {
    records: Vec<AuditRecord>,
    entries: Vec<ActivityEntry>,
    flushed: Vec<oneshot::Sender<()>>,
}

/// The task that empties the queue of one sink.
struct Delivery {
    sink: Arc<dyn AuditSink>,
    dropped: Arc<AtomicU64>,
}

impl Delivery {
    async fn run(self, mut queue: mpsc::Receiver<Item>) {
        let mut items = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut items, BATCH).await > 0 {
            let mut batch = Batch::default();
            for item in items.drain(..) {
                match item {
                    Item::Record(record) => {
                        self.keep_entries(&mut batch).await;
                        batch.records.push(record);
                    }
                    Item::Activity(entry) => {
                        self.keep_records(&mut batch).await;
                        batch.entries.push(entry);
                    }
                    Item::Flushed(sender) => batch.flushed.push(sender),
                }
            }
            self.keep_records(&mut batch).await;
            self.keep_entries(&mut batch).await;
            for sender in batch.flushed {
                // The caller of `flush` may have been cancelled.
                let _ = sender.send(());
            }
        }
    }

    async fn keep_records(&self, batch: &mut Batch) {
        let records = std::mem::take(&mut batch.records);
        if !records.is_empty() {
            let count = records.len();
            self.keep(self.sink.record(records.into()), count).await;
        }
    }

    async fn keep_entries(&self, batch: &mut Batch) {
        let entries = std::mem::take(&mut batch.entries);
        if !entries.is_empty() {
            let count = entries.len();
            self.keep(self.sink.record_activity(entries.into()), count).await;
        }
    }

    async fn keep(&self, kept: MaybeReady<()>, count: usize) {
        if let Err(error) = kept.await {
            self.dropped.fetch_add(count as u64, Relaxed);
            metrics::count_audit_dropped(count);
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, count, "an audit sink failed to keep records");
        }
    }
}

impl fmt::Debug for AuditQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditQueue")
            .field("sinks", &self.queues.len())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
