//! Clocks and timers. Only this file reads the system's clock.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::time::Timestamp;

/// A source of time and timers.
///
/// A layer reads the clock once per phase and passes the reading on; no other code of this crate reads
/// a clock. Use one clock for all layers of a stack.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current instant. Must not block.
    fn now(&self) -> Timestamp;

    /// Completes as soon as [`now`](Self::now) has reached `deadline`.
    fn sleep_until(&self, deadline: Timestamp) -> Sleep;

    /// Whether it shows the time of day, so that a shared store compares it with its own clock.
    /// Default: it does; [`ManualClock`] does not.
    fn is_time_of_day(&self) -> bool {
        true
    }
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> Clock for Arc<T>
where
    T: Clock + ?Sized,
{
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        (**self).sleep_until(deadline)
    }

    fn is_time_of_day(&self) -> bool {
        (**self).is_time_of_day()
    }
}

/// A timer of a [`Clock`]; completes at its deadline.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The system's clock and Tokio's timers; the default.
///
/// A time before 1970 reads as 1970. Timers need a Tokio runtime with its time driver enabled. Without
/// a runtime they never complete: time limits then do not apply, and requests still work.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "only this function reads the system's clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH + since_epoch
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        if tokio::runtime::Handle::try_current().is_err() {
            return Box::pin(std::future::pending());
        }
        Box::pin(tokio::time::sleep(deadline.since(self.now())))
    }
}

/// Measures how much time passes, whatever happens to the system's clock.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis", feature = "metrics"))]
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(std::time::Instant);

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis", feature = "metrics"))]
impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "only this file reads a clock")]
    pub(crate) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that moves only when it is set; for tests.
///
/// Clones share their time. A timer fires when the clock is set to its deadline or later.
///
/// ```
/// use std::time::Duration;
/// use tower_sliding_session::{Clock, ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
/// let before = clock.now();
/// clock.advance(Duration::from_millis(1));
/// assert_eq!(clock.now().since(before), Duration::from_millis(1));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Manual>);

struct Manual {
    now: AtomicU64,
    timers: Mutex<Timers>,
}

/// The timers that are waited for, by their numbers.
#[derive(Default)]
struct Timers {
    next: u64,
    waiting: BTreeMap<u64, (Timestamp, Option<Waker>)>,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let (now, timers) = (AtomicU64::new(now.as_millis()), Mutex::default());
        Self(Arc::new(Manual { now, timers }))
    }

    /// Moves the clock forward by `by`, and fires the timers that are due.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets the clock, forward or backward, and fires the timers that are due.
    pub fn set(&self, now: Timestamp) {
        self.0.now.store(now.as_millis(), Ordering::SeqCst);
        let due: Vec<Waker> = (self.timers().waiting.values_mut())
            .filter(|(deadline, _)| *deadline <= now)
            .filter_map(|(_, waker)| waker.take())
            .collect();
        due.into_iter().for_each(Waker::wake);
    }

    /// Returns the number of timers that were polled and neither completed nor dropped: for tests that
    /// nothing is left waiting.
    #[must_use]
    pub fn waiting_timers(&self) -> usize {
        self.timers().waiting.len()
    }

    fn timers(&self) -> MutexGuard<'_, Timers> {
        self.0.timers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(ManualSleep { clock: self.clone(), deadline, number: None })
    }

    fn is_time_of_day(&self) -> bool {
        false
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

struct ManualSleep {
    clock: ManualClock,
    deadline: Timestamp,
    /// Its number among the timers; `None` before the first poll.
    number: Option<u64>,
}

impl ManualSleep {
    /// Registers the waker: one of each timer, however often it is polled.
    fn register(&mut self, waker: &Waker) {
        let mut timers = self.clock.timers();
        let number = *self.number.get_or_insert_with(|| {
            timers.next += 1;
            timers.next
        });
        timers.waiting.insert(number, (self.deadline, Some(waker.clone())));
    }

    fn remove(&mut self) {
        if let Some(number) = self.number.take() {
            let removed = self.clock.timers().waiting.remove(&number);
            // Outside the lock: the last clone of a waker may drop a task with timers.
            drop(removed);
        }
    }
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The waker is registered before the clock is read: a `set` in between must wake it.
        self.register(cx.waker());
        if self.clock.now() < self.deadline {
            return Poll::Pending;
        }
        self.remove();
        Poll::Ready(())
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_fires_exactly_at_its_deadline() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        let mut timer = clock.sleep_until(Timestamp::from_millis(11_000));
        let mut cx = Context::from_waker(Waker::noop());
        clock.set(Timestamp::from_millis(10_999));
        assert!(timer.as_mut().poll(&mut cx).is_pending());
        clock.set(Timestamp::from_millis(11_000));
        assert!(timer.as_mut().poll(&mut cx).is_ready());
    }

    #[test]
    fn a_timer_waits_once_however_often_it_is_polled() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        let mut timers = [11, 12].map(|secs| clock.sleep_until(Timestamp::from_secs(secs)));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            for timer in &mut timers {
                assert!(timer.as_mut().poll(&mut cx).is_pending());
            }
        }
        assert_eq!(clock.waiting_timers(), 2);
        clock.set(Timestamp::from_secs(11));
        assert!(timers[0].as_mut().poll(&mut cx).is_ready());
        assert_eq!(clock.waiting_timers(), 1);
        drop(timers);
        assert_eq!(clock.waiting_timers(), 0);
    }

    #[tokio::test]
    async fn setting_the_clock_wakes_a_timer() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        let sleeper = tokio::spawn(clock.sleep_until(Timestamp::from_secs(20)));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        sleeper.await.expect("the timer completes");
    }
}
