//! Where time comes from: the only file that reads a clock.

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

/// A source of time, and of timers that run on it.
///
/// Layers take one reading a phase and hand it to the rules; nothing else in this crate knows what
/// time it is. Share one clock between all layers of a stack.
pub trait Clock: Send + Sync + 'static {
    /// The current instant. Must not block.
    fn now(&self) -> Timestamp;

    /// Completes once [`now`](Self::now) has reached `deadline`.
    fn sleep_until(&self, deadline: Timestamp) -> Sleep;
}

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
}

/// A timer of a [`Clock`]: completes at its deadline.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The machine's wall clock and Tokio's timers. The default.
///
/// A machine whose clock stands before 1970 reads as 1970. Timers need a Tokio runtime with its
/// time driver enabled; without one they never complete, so that a missing driver costs a time
/// limit and not the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
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

/// A clock that stands still until it is told to move; for tests, yours included.
///
/// Clones share their time. Timers fire when the clock is moved to or past their deadline.
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
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Manual { now: AtomicU64::new(now.as_millis()), sleepers: Mutex::default() }))
    }

    /// Moves the clock forward by `by` and fires the timers that are due.
    pub fn advance(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets the clock, backwards too: what a stepped system clock does.
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
        // Registered before the reading, or a `set` in between would wake nobody.
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
    async fn moving_the_clock_wakes_the_sleeper() {
        let clock = ManualClock::new(Timestamp::from_secs(10));
        let sleeper = tokio::spawn(clock.sleep_until(Timestamp::from_secs(20)));
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(10));
        sleeper.await.expect("the timer completes");
    }
}
