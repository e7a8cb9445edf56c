//! How long a request has waited for stores, before its handler and after it, or a call of the lifecycle: all
//! waits of one have one time limit together.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use super::Session;
use crate::{
    clock::Clock,
    maybe_ready::{MaybeReady, REQUEST_TIME_LIMIT, StoreError, Timed},
};

/// The waits so far, in milliseconds.
#[derive(Default)]
pub(crate) struct WaitingTime(AtomicU32);

impl WaitingTime {
    /// Begins to wait for a store, for as long as is left of `limit`.
    fn timed<T>(&self, pending: MaybeReady<T>, clock: &dyn Clock, limit: Duration) -> Timed<T> {
        let waited = Duration::from_millis(self.0.load(Relaxed).into());
        Timed::new(pending, clock, limit.saturating_sub(waited))
    }

    /// Counts a wait that is over.
    fn add(&self, waited: Duration) {
        let waited = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
        self.0.store(self.0.load(Relaxed).saturating_add(waited), Relaxed);
    }

    /// Waits for a store, for as long as is left of `limit`.
    pub(crate) async fn wait<T>(
        &self,
        answer: MaybeReady<T>,
        clock: &dyn Clock,
        limit: Duration,
    ) -> Result<T, StoreError>
    where
        T: Unpin,
    {
        match answer.try_ready() {
            Ok(answer) => answer,
            Err(pending) => {
                let mut timed = self.timed(pending, clock, limit);
                let answer = Pin::new(&mut timed).await;
                self.add(timed.elapsed(clock));
                answer
            }
        }
    }
}

impl Clone for WaitingTime {
    fn clone(&self) -> Self {
        Self(AtomicU32::new(self.0.load(Relaxed)))
    }
}

impl Session {
    /// Begins to wait for a store, for as long as is left.
    pub(crate) fn timed<T>(&self, pending: MaybeReady<T>, clock: &dyn Clock) -> Timed<T> {
        self.0.waiting_time.timed(pending, clock, REQUEST_TIME_LIMIT)
    }

    /// Counts a wait that is over.
    pub(crate) fn add_waiting_time(&self, waited: Duration) {
        self.0.waiting_time.add(waited);
    }

    /// Waits for a store, for as long as is left.
    pub(crate) async fn wait<T>(
        &self,
        answer: MaybeReady<T>,
        clock: &dyn Clock,
    ) -> Result<T, StoreError>
    where
        T: Unpin,
    {
        self.0.waiting_time.wait(answer, clock, REQUEST_TIME_LIMIT).await
    }
}
