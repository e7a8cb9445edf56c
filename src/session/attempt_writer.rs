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

impl AttemptWriter {
    /// Writes in the background until nothing is left, unless a task does that. Outside of a Tokio runtime
    /// nothing is written.
    pub(super) fn start(self) {
        if let Ok(runtime) = Handle::try_current()
            && self.attempts.start_writing()
        {
            drop(runtime.spawn(self.write_in_background()));
        }
    }

    async fn write_in_background(self) {
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
            if attempts.stop_writing() {
                return;
            }
        }
    }

    /// Writes once what is not written yet.
    ///
    /// # Errors
    /// If the store fails: the rest is not written.
    pub(crate) async fn write(&self) -> Result<(), StoreError> {
        let mut left = self.attempts.unwritten();
        while left > 0 {
            let count = left.min(AT_A_TIME);
            left -= count;
            let mut writes = JoinSet::new();
            for keys in self.attempts.next_unwritten(count) {
                let this = self.clone();
                writes.spawn(async move { this.write_session(keys).await });
            }
            for written in writes.join_all().await {
                written?;
            }
        }
        Ok(())
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
