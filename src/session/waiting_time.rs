//! How long a request has waited for stores, before its handler and after it: all of its waits have one time
//! limit together.

use std::{pin::Pin, sync::atomic::Ordering::Relaxed, time::Duration};

use super::Session;
use crate::{
    clock::Clock,
    maybe_ready::{MaybeReady, REQUEST_TIME_LIMIT, StoreError, Timed},
};

impl Session {
    /// Begins to wait for a store, for as long as is left.
    pub(crate) fn timed<T>(&self, pending: MaybeReady<T>, clock: &dyn Clock) -> Timed<T> {
        let waited = Duration::from_millis(self.0.waited_millis.load(Relaxed).into());
        Timed::new(pending, clock, REQUEST_TIME_LIMIT.saturating_sub(waited))
    }

    /// Counts a wait that is over.
    pub(crate) fn add_waiting_time(&self, waited: Duration) {
        let waited = u32::try_from(waited.as_millis()).unwrap_or(u32::MAX);
        let before = self.0.waited_millis.load(Relaxed);
        self.0.waited_millis.store(before.saturating_add(waited), Relaxed);
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
        match answer.try_ready() {
            Ok(answer) => answer,
            Err(pending) => {
                let mut timed = self.timed(pending, clock);
                let answer = Pin::new(&mut timed).await;
                self.add_waiting_time(timed.elapsed(clock));
                answer
            }
        }
    }
}
