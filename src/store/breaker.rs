//! A breaker: a node stops asking a server that does not answer, and looks for it on new connections.
//!
//! Without it each request would wait for its time limit, and hold a connection meanwhile. A server that
//! answers late is asked: only no answer at all, a refused connection or a lost one is a failure.
//!
//! A server that is silent on open connections may still answer on a new one: what it was asked waits for a
//! lock, perhaps. So calls of the lifecycle, which wait longer than a request does, go on until a new
//! connection shows that the server is lost.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, task::JoinSet, time::sleep};

use crate::{
    clock::Stopwatch,
    jitter::jitter,
    metrics,
    store::race::{First, race},
};

/// The breaker opens after this many failures with no answer between them.
const FAILURES: u32 = 3;

/// A call that is not answered for this long has failed, unless the server has answered another one
/// meanwhile. Less than the 250 ms that a request waits, so that it is noticed; a server that takes
/// 200 ms for each answer is slow, not lost.
pub(super) const ANSWER_TIME_LIMIT: Duration = Duration::from_millis(240);

/// How long a server must be silent, after the first such call, to count as lost. A node under more load
/// than it bears waits for its own turn; if it gave up its connections, it would bear even less.
const SILENCE: Duration = Duration::from_secs(2);

/// The pause before a server is looked for again, and how much longer it may be: nodes that lost it at
/// the same time do not come back at the same time.
const PROBE_PAUSE: Duration = Duration::from_millis(100);
const PROBE_JITTER: Duration = Duration::from_millis(150);

/// How much longer the pause is while a probe waits.
const PENDING_PAUSE: Duration = Duration::from_millis(350);

/// How long a server may take to accept a connection and answer on it. Longer than an answer on one
/// that is open: it takes several round trips, and a node under too much load is slow itself.
pub(super) const PROBE_TIME_LIMIT: Duration = Duration::from_secs(3);

/// Looks for the server on a new connection, for a limited time; whether one that can serve answers on it.
pub(super) type Probe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// What a breaker guards, in the log and in the metric.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoreKind {
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    Sql,
    #[cfg(feature = "redis")]
    Redis,
}

/// How many breakers of each kind are open: a process may have several.
static OPEN: Mutex<[usize; 2]> = Mutex::new([0; 2]);

impl StoreKind {
    const fn name(self) -> &'static str {
        match self {
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            Self::Sql => "sql",
            #[cfg(feature = "redis")]
            Self::Redis => "redis",
        }
    }

    /// Counts breakers that have opened and closed, and sets the metric.
    fn count(self, opened: usize, closed: usize) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &mut open[self as usize];
        *open = (*open + opened).saturating_sub(closed);
        metrics::set_breaker_open(self.name(), *open > 0);
    }
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Answers,
    /// Nothing was answered on open connections for [`SILENCE`]; new ones are tried.
    IsSilent,
    /// It refuses connections, has lost them, or does not answer on new ones either.
    IsLost,
}

/// Whether a server is asked.
pub(super) struct Breaker {
    store: StoreKind,
    /// Since the last answer.
    failures: AtomicU32,
    /// When the first of them was, in milliseconds of `running`.
    failing_since: AtomicU64,
    running: Stopwatch,
    silence: Duration,
    answers: AtomicU64,
    health: watch::Sender<Health>,
    probe: Probe,
    /// A call may be dropped where no runtime is entered.
    runtime: Handle,
    this: Weak<Self>,
}

impl Breaker {
    /// Call it within the runtime of the store.
    pub(super) fn new(store: StoreKind, probe: Probe) -> Arc<Self> {
        Self::with_silence(store, probe, SILENCE)
    }

    fn with_silence(store: StoreKind, probe: Probe, silence: Duration) -> Arc<Self> {
        store.count(0, 0);
        Arc::new_cyclic(|this| Self {
            store,
            failures: AtomicU32::new(0),
            failing_since: AtomicU64::new(0),
            running: Stopwatch::start(),
            silence,
            answers: AtomicU64::new(0),
            health: watch::Sender::new(Health::Answers),
            probe,
            runtime: Handle::current(),
            this: Weak::clone(this),
        })
    }

    /// Begins a call of a request; `None` if no server answers at present.
    pub(super) fn ask(&self) -> Option<Call<'_>> {
        self.call_unless(Health::IsSilent)
    }

    /// Begins a call of the lifecycle; `None` if the server is lost.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn ask_patiently(&self) -> Option<Call<'_>> {
        self.call_unless(Health::IsLost)
    }

    fn call_unless(&self, refused: Health) -> Option<Call<'_>> {
        if *self.health.borrow() >= refused {
            return None;
        }
        let answers = self.answers.load(Relaxed);
        Some(Call { breaker: self, answers, begun: Stopwatch::start(), is_over: false })
    }

    pub(super) fn is_open(&self) -> bool {
        *self.health.borrow() != Health::Answers
    }

    /// The server has answered a call, be it with an error.
    pub(super) fn answer(&self) {
        self.answers.fetch_add(1, Relaxed);
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A call has failed: one of several, over at least `span`, opens the breaker.
    fn fail(&self, span: Duration, health: Health) {
        let now = u64::try_from(self.running.elapsed().as_millis()).unwrap_or(u64::MAX);
        let failures = self.failures.fetch_add(1, Relaxed) + 1;
        if failures == 1 {
            self.failing_since.store(now, Relaxed);
        }
        let failing_for = now.saturating_sub(self.failing_since.load(Relaxed));
        if failures >= FAILURES && Duration::from_millis(failing_for) >= span {
            self.open(health);
        }
    }

    fn open(&self, health: Health) {
        let mut before = health;
        self.health.send_if_modified(|present| {
            before = *present;
            *present = health.max(before);
            *present != before
        });
        if before == Health::Answers {
            self.store.count(1, 0);
            tracing::warn!(
                store = self.store.name(),
                "the store does not answer; looking for it on new connections"
            );
            drop(self.runtime.spawn(look_for_server(Weak::clone(&self.this))));
        }
    }

    fn close(&self) {
        self.failures.store(0, Relaxed);
        if self.health.send_replace(Health::Answers) != Health::Answers {
            self.store.count(0, 1);
            tracing::info!(store = self.store.name(), "the store answers again");
        }
    }

    /// Completes when requests do not ask the server any more.
    #[cfg(any(test, feature = "sqlite", feature = "postgres"))]
    pub(super) async fn opened(&self) {
        let _ = self.health.subscribe().wait_for(|health| *health >= Health::IsSilent).await;
    }

    /// Completes when nobody asks the server any more.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) async fn lost(&self) {
        let _ = self.health.subscribe().wait_for(|health| *health == Health::IsLost).await;
    }

    #[cfg(test)]
    pub(super) async fn closed(&self) {
        let _ = self.health.subscribe().wait_for(|health| *health == Health::Answers).await;
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        if self.is_open() {
            self.store.count(0, 1);
        }
    }
}

/// A call that is not answered yet. One that is dropped after it has waited for the time limit was not
/// answered: its caller gave up.
pub(super) struct Call<'a> {
    breaker: &'a Breaker,
    /// The answers to all calls when this one began to wait.
    answers: u64,
    begun: Stopwatch,
    is_over: bool,
}

impl Call<'_> {
    /// The server has answered, as far as this call is concerned.
    pub(super) fn end(mut self) {
        self.is_over = true;
    }

    /// No server could be reached, or none that can serve.
    pub(super) fn fail(mut self) {
        self.is_over = true;
        self.breaker.fail(Duration::ZERO, Health::IsLost);
    }

    /// It got no connection in time: those that there are may all be in use.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub(super) fn fail_unless_others_succeed(mut self) {
        self.is_over = true;
        if self.breaker.answers.load(Relaxed) == self.answers {
            self.breaker.fail(Duration::ZERO, Health::IsSilent);
        }
    }

    /// The only connection is lost.
    #[cfg(feature = "redis")]
    pub(super) fn lose(mut self) {
        self.is_over = true;
        self.breaker.open(Health::IsLost);
    }

    /// It has waited for the time limit, and may go on. That is a failure unless the server has answered
    /// another call meanwhile.
    pub(super) fn wait(&mut self) {
        let answers = self.breaker.answers.load(Relaxed);
        if std::mem::replace(&mut self.answers, answers) == answers {
            self.breaker.fail(self.breaker.silence, Health::IsSilent);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.begun.elapsed() >= ANSWER_TIME_LIMIT {
            self.wait();
        }
    }
}

/// Looks for the server until it answers, or nobody needs it any more. A probe that waits does not delay
/// the next one: the network may have dropped it, or this node has more to do than it can.
async fn look_for_server(breaker: Weak<Breaker>) {
    let mut probes = JoinSet::new();
    loop {
        let Some(open) = breaker.upgrade() else { return };
        probes.spawn((open.probe)());
        drop(open);
        let mut pause = pin!(sleep(PROBE_PAUSE + jitter(PROBE_JITTER) + PENDING_PAUSE));
        loop {
            match race(probes.join_next(), pause.as_mut()).await {
                First::Left(Some(Ok(true))) => {
                    if let Some(open) = breaker.upgrade() {
                        open.close();
                    }
                    return;
                }
                First::Left(Some(_)) => {}
                // None waits.
                First::Left(None) => {
                    let Some(open) = breaker.upgrade() else { return };
                    open.open(Health::IsLost);
                    drop(open);
                    sleep(PROBE_PAUSE + jitter(PROBE_JITTER)).await;
                    break;
                }
                First::Right(()) => {
                    let Some(open) = breaker.upgrade() else { return };
                    open.open(Health::IsLost);
                    break;
                }
            }
        }
    }
}

#[cfg(all(test, any(feature = "postgres", feature = "redis")))]
mod tests;
