//! Writes the attempts of an outage to the store when it answers again, so that other nodes know of them.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{runtime::Handle, task::JoinSet};

use super::Enforcement;
use crate::{
    clock::Clock,
    identity::SessionKeys,
    jitter::jitter,
    maybe_ready::{REQUEST_TIME_LIMIT, StoreError, within},
    store::{Attempts, SessionStore, Touch, TouchOutcome},
};

/// How often attempts are written; up to a quarter less at random.
const INTERVAL: Duration = Duration::from_millis(500);

/// The attempts of how many sessions are written at the same time.
const AT_A_TIME: usize = 16;

/// What is needed to write attempts.
#[derive(Clone)]
pub(crate) struct AttemptWriter {
    attempts: Arc<Attempts>,
    pub(crate) store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
}

impl Enforcement {
    pub(crate) fn attempt_writer(&self) -> Option<AttemptWriter> {
        let store = Arc::clone(self.store()?);
        let (attempts, clock) = (Arc::clone(&self.attempts), Arc::clone(&self.clock));
        Some(AttemptWriter { attempts, store, clock })
    }
}

/// Lets another task write if this one ends before everything is written: its runtime shuts down, perhaps.
struct Writing(Option<Arc<Attempts>>);

impl Writing {
    /// Returns whether nothing is left to be written.
    fn stop(&mut self) -> bool {
        let has_stopped = self.0.as_ref().is_none_or(|attempts| attempts.stop_writing());
        if has_stopped {
            self.0 = None;
        }
        has_stopped
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(attempts) = &self.0 {
            attempts.abandon_writing();
        }
    }
}

impl AttemptWriter {
    /// Writes in the background until nothing is left, unless a task does that. Outside of a Tokio runtime
    /// nothing is written.
    pub(super) fn start(self) {
        if let Ok(runtime) = Handle::try_current()
            && self.attempts.start_writing()
        {
            let writing = Writing(Some(Arc::clone(&self.attempts)));
            drop(runtime.spawn(self.write_in_background(writing)));
        }
    }

    async fn write_in_background(self, mut writing: Writing) {
        let Self { attempts, store, clock } = self;
        let store: Weak<dyn SessionStore> = {
            let weak = Arc::downgrade(&store);
            drop(store);
            weak
        };
        loop {
            clock.sleep_until(clock.now() + INTERVAL.saturating_sub(jitter(INTERVAL / 4))).await;
            let Some(store) = store.upgrade() else { return };
            let writer = Self { attempts: Arc::clone(&attempts), store, clock: Arc::clone(&clock) };
            // What fails is repeated.
            drop(writer.write().await);
            if writing.stop() {
                return;
            }
        }
    }

    /// Writes once what is not written yet.
    ///
    /// # Errors
    /// If the store fails for a session. If it fails for all that are written at the same time, the rest is not
    /// written: the servers of a cluster fail one by one.
    pub(crate) async fn write(&self) -> Result<(), StoreError> {
        let mut left = self.attempts.unwritten();
        let mut all_written = Ok(());
        while left > 0 {
            let count = left.min(AT_A_TIME);
            left -= count;
            let mut writes = JoinSet::new();
            for keys in self.attempts.next_unwritten(count) {
                let this = self.clone();
                writes.spawn(async move { this.write_session(keys).await });
            }
            let mut is_answered = writes.is_empty();
            while let Some(written) = writes.join_next().await {
                let written = written.unwrap_or_else(|error| Err(StoreError::new(error)));
                is_answered |= written.is_ok();
                all_written = all_written.and(written);
            }
            if !is_answered {
                break;
            }
        }
        all_written
    }

    async fn write_session(&self, keys: SessionKeys) -> Result<(), StoreError> {
        let touches = self.attempts.touches(&keys.session);
        let Some([_, last]) = touches.last().copied() else { return Ok(()) };
        let mut is_written = true;
        for [begins, ends] in touches {
            match self.touch(keys, begins).await? {
                TouchOutcome::Active(_) => self.touch(keys, ends).await?,
                // Those of other nodes may come between.
                TouchOutcome::Idle(_) => {
                    is_written = false;
                    break;
                }
                // Nothing revives it.
                TouchOutcome::Unknown | TouchOutcome::Ended => break,
            };
        }
        self.attempts.set_written(&keys.session, last.now, is_written);
        Ok(())
    }

    async fn touch(&self, keys: SessionKeys, touch: Touch) -> Result<TouchOutcome, StoreError> {
        within(self.store.touch(keys, touch), &*self.clock, REQUEST_TIME_LIMIT).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::ManualClock, identity::StoreKey, store::MemoryStore, time::Timestamp};

    #[test]
    fn p23_another_task_writes_where_the_runtime_of_the_first_has_ended() {
        let clock = ManualClock::new(Timestamp::from_secs(1000));
        let writer = AttemptWriter {
            attempts: Arc::new(Attempts::new()),
            store: Arc::new(MemoryStore::new()),
            clock: Arc::new(clock.clone()),
        };
        let keys = SessionKeys::new(StoreKey::session(None, "s"), StoreKey::user(None, None, "u"));
        let attempt = || {
            let now = clock.now();
            writer.attempts.record(keys, Touch::new(now, now, Duration::from_secs(60)));
            writer.clone().start();
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime().expect("a runtime").block_on(async { attempt() });
        assert_eq!(writer.attempts.unwritten(), 1, "the task has ended");
        let written = async {
            attempt();
            while writer.attempts.unwritten() > 0 {
                clock.advance(INTERVAL);
                tokio::task::yield_now().await;
            }
        };
        let in_time = async { tokio::time::timeout(Duration::from_secs(30), written).await };
        runtime().expect("a runtime").block_on(in_time).expect("it is written");
    }
}
