//! Reads of sessions for requests: one statement at a time, for every session that waits.
//!
//! After a restart each user's first request reads its session. One statement for each would be more
//! than a database answers in time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{
    Inner,
    failure::Failure,
    sessions::join_present,
    value::{Args, placeholders},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        node::{Known, Row},
        turns::Turn,
    },
    time::Timestamp,
};

/// The most sessions that one statement reads; a power of two.
const PIECE: usize = 512;

/// The sessions that wait to be read.
#[derive(Default)]
pub(super) struct SessionReads(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    reads: Vec<Read>,
    /// Whether a task reads; it goes on until nothing waits.
    is_running: bool,
}

struct Read {
    session: StoreKey,
    now: Timestamp,
    /// Of the session, until it is read.
    turn: Turn,
    answer: oneshot::Sender<Result<Known, StoreError>>,
}

impl SessionReads {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a read. Returns whether a task must be started for it.
    fn add(&self, read: Read) -> bool {
        let mut waiting = self.waiting();
        waiting.reads.push(read);
        !std::mem::replace(&mut waiting.is_running, true)
    }

    /// Takes what waits, at most [`PIECE`]. Nothing: the task ends.
    fn take(&self) -> Vec<Read> {
        let mut waiting = self.waiting();
        let count = waiting.reads.len().min(PIECE);
        waiting.is_running = count > 0;
        waiting.reads.drain(..count).collect()
    }
}

impl Inner {
    /// Reads a session into the cache. It goes on if the request is cancelled, so that the next one
    /// need not start again.
    pub(super) async fn read_session(
        self: &Arc<Self>,
        session: StoreKey,
        now: Timestamp,
        turn: Turn,
    ) -> Result<Known, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.session_reads.add(Read { session, now, turn, answer }) {
            let store = Arc::clone(self);
            tokio::spawn(async move { store.read_waiting().await });
        }
        answered.await.map_err(|_| StoreError::new("the runtime is shutting down"))?
    }

    async fn read_waiting(&self) {
        loop {
            let reads = self.session_reads.take();
            if reads.is_empty() {
                return;
            }
            let known = self.read_into_cache(&reads).await.map_err(StoreError::from);
            for read in reads {
                let answer = match &known {
                    Ok(known) => {
                        read.turn.end();
                        Ok(known.get(&read.session).copied().unwrap_or(Known::Nothing))
                    }
                    Err(error) => Err(error.clone()),
                };
                // The request may have been cut off by its time limit.
                let _ = read.answer.send(answer);
            }
        }
    }

    async fn read_into_cache(&self, reads: &[Read]) -> Result<HashMap<StoreKey, Known>, Failure> {
        let generation = self.node_cache.generation();
        // Few texts of statements, which the connections keep prepared: some keys are asked for twice.
        let count = reads.len().next_power_of_two();
        let sql = format!(
            "WITH v (wanted) AS (VALUES {wanted})
            SELECT present.key, present.last_seen, present.idle, present.ended_until FROM v {present}",
            wanted = placeholders(count, 1),
            present = join_present(self.database.feed_order(), "v.wanted")
        );
        let asked = reads.iter().cycle().take(count);
        let args = asked.fold(Args::new(), |args, read| args.key(read.session));
        let mut rows = HashMap::new();
        for row in self.database.fetch(sql, args).await? {
            let Some(session) = row.maybe_key(0)? else { continue };
            let found = match row.maybe_time(3)? {
                Some(until) => Row::Ended { until },
                None => Row::Active { last_seen: row.time(1)?, idle: row.span(2)? },
            };
            rows.insert(session, found);
        }
        let remember = |read: &Read| {
            let row = rows.get(&read.session).copied();
            (read.session, self.remember(read.session, row, read.now, generation))
        };
        Ok(reads.iter().map(remember).collect())
    }
}
