//! Clocks and timers. Only this file reads the system's clock.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
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
#[cfg(feature = "redis")]
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch(std::time::Instant);

#[cfg(feature = "redis")]
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
    sleepers: Mutex<Vec<Waker>>,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Manual { now: AtomicU64::new(now.as_millis()), sleepers: Mutex::default() }))
    }

    /// Moves the clock forward by `by`, and fires the timers that are due.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets the clock, forward or backward, and fires the timers that are due.
    pub fn set(&self, now: Timestamp) {
        self.0.now.store(now.as_millis(), Ordering::SeqCst);
        let woken = std::mem::take(&mut *self.sleepers());
        woken.into_iter().for_each(Waker::wake);
    }

    fn sleepers(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        Box::pin(ManualSleep { clock: self.clone(), deadline })
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
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The waker is registered before the clock is read: a `set` in between must wake it.
        self.clock.sleepers().push(cx.waker().clone());
        if self.clock.now() >= self.deadline { Poll::Ready(()) } else { Poll::Pending }
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

    #[tokio::test]
    async fn setting_the_clock_wakes_a_timer() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        let sleeper = tokio::spawn(clock.sleep_until(Timestamp::from_secs(20)));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        sleeper.await.expect("the timer completes");
    }
}
