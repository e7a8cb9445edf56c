//! Revocations that wait for a connection. One statement commits those that wait at the same time: the
//! database flushes its log once for all of them.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Semaphore, oneshot};

use super::{
    Inner,
    feed_order::FeedOrder,
    revocation::{AllRevoked, Revoke, RevokeSeveral, Revoked},
};
use crate::{clock::Clock as _, maybe_ready::StoreError};

/// The most revocations in one statement. Those of one user are bounded by the calls in flight.
const MOST: usize = 64;

/// How many statements are under way: with more, each has fewer revocations, and the database more to do.
const AT_A_TIME: usize = 4;

/// The revocations of a node.
pub(super) struct RevocationQueue {
    /// Those that no statement has taken.
    waiting: Mutex<VecDeque<Waiting>>,
    turns: Semaphore,
}

struct Waiting {
    revoke: Revoke,
    answer: oneshot::Sender<Result<Revoked, StoreError>>,
}

impl RevocationQueue {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::default(), turns: Semaphore::new(AT_A_TIME) }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next revocations: a power of two of them, so that the database prepares few statements, and
    /// none of a session twice.
    fn take(&self) -> (Vec<Revoke>, Vec<oneshot::Sender<Result<Revoked, StoreError>>>) {
        let mut queue = self.lock();
        let mut sessions = HashSet::new();
        let is_new = |it: &&Waiting| sessions.insert(it.revoke.tombstone.session);
        let count = queue.iter().take(MOST).take_while(is_new).count();
        let count = count.checked_ilog2().map_or(0, |power| 1 << power);
        queue.drain(..count).map(|it| (it.revoke, it.answer)).unzip()
    }
}

impl Inner {
    /// Commits a revocation, with others that wait.
    pub(super) async fn commit_revocation(
        self: &Arc<Self>,
        revoke: Revoke,
    ) -> Result<Revoked, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.revocation_queue.lock().push_back(Waiting { revoke, answer });
        let store = Arc::clone(self);
        // It goes on if the caller is cut off: others may wait for the same statement.
        tokio::spawn(async move { store.commit_next_revocations().await });
        answered.await.map_err(StoreError::new)?
    }

    /// Commits the next revocations that wait, if any are left when there is a connection.
    async fn commit_next_revocations(&self) {
        let _turn = self.revocation_queue.turns.acquire().await;
        let _publishing = self.publish().await;
        let (revokes, waiting) = self.revocation_queue.take();
        if revokes.is_empty() {
            return;
        }
        let revoked = self.commit_revocations(&revokes).await;
        for answer in waiting.into_iter().zip(split(revoked)) {
            // A caller that was cut off needs none.
            drop(answer.0.send(answer.1));
        }
    }

    /// On Postgres it is one statement.
    async fn commit_revocations(&self, revokes: &[Revoke]) -> Result<AllRevoked, StoreError> {
        let several = RevokeSeveral::new(revokes);
        let revoked = match self.database.feed_order() {
            FeedOrder::Commits => self.commit(&several).await?,
            FeedOrder::Transactions => several.run_alone(&self.database, self.clock.now()).await?,
        };
        self.announce();
        Ok(revoked)
    }
}

/// The answer to each caller: all of them get an error of the statement.
fn split(
    revoked: Result<AllRevoked, StoreError>,
) -> impl Iterator<Item = Result<Revoked, StoreError>> {
    let (revoked, error) = match revoked {
        Ok(revoked) => (revoked, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let failed = std::iter::from_fn(move || error.clone().map(Err));
    revoked.into_iter().chain(failed)
}
