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
use crate::{clock::Clock as _, identity::StoreKey, maybe_ready::StoreError};

/// The most revocations in one statement. Those of one user are bounded by the calls in flight.
const MOST: usize = 64;

/// How many statements are under way: with more, each has fewer revocations, and the database more to do. A user
/// whose rows are locked holds up one.
const AT_A_TIME: usize = 2;

/// The revocations of a node.
pub(super) struct RevocationQueue {
    revocations: Mutex<Revocations>,
    turns: Semaphore,
}

#[derive(Default)]
struct Revocations {
    /// Those that no statement has taken.
    waiting: VecDeque<Waiting>,
    /// The users of those that are under way.
    users: HashSet<StoreKey>,
}

struct Waiting {
    revoke: Revoke,
    user: StoreKey,
    answer: oneshot::Sender<Result<Revoked, StoreError>>,
}

impl RevocationQueue {
    pub(super) fn new() -> Self {
        Self { revocations: Mutex::default(), turns: Semaphore::new(AT_A_TIME) }
    }

    fn lock(&self) -> MutexGuard<'_, Revocations> {
        self.revocations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Revocations {
    /// Takes the next revocations of users of whom none is under way: a power of four of them, so that the
    /// database prepares few statements, and none of a session twice.
    fn take(&mut self) -> Vec<Waiting> {
        let mut sessions = HashSet::new();
        let mut is_next = |it: &Waiting| {
            !self.users.contains(&it.user) && sessions.insert(it.revoke.tombstone.session)
        };
        let places = (0..self.waiting.len()).filter(|place| is_next(&self.waiting[*place]));
        let mut places: Vec<_> = places.take(MOST).collect();
        let count = places.len().checked_ilog(4).map_or(0, |power| 4_usize.pow(power));
        places.truncate(count);
        let taken = places.into_iter().rev().filter_map(|place| self.waiting.remove(place));
        let taken: Vec<_> = taken.collect();
        self.users.extend(taken.iter().map(|it| it.user));
        taken
    }
}

/// Revocations that are under way until this is dropped.
struct UnderWay<'a> {
    queue: &'a RevocationQueue,
    users: Vec<StoreKey>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut revocations = self.queue.lock();
        for user in &self.users {
            revocations.users.remove(user);
        }
    }
}

impl Inner {
    /// Commits a revocation of a session of `user`, with others that wait.
    pub(super) async fn commit_revocation(
        self: &Arc<Self>,
        revoke: Revoke,
        user: StoreKey,
    ) -> Result<Revoked, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.revocation_queue.lock().waiting.push_back(Waiting { revoke, user, answer });
        let store = Arc::clone(self);
        // It goes on if the caller is cut off: others may wait for the same statement.
        tokio::spawn(async move { store.commit_waiting_revocations().await });
        answered.await.map_err(StoreError::new)?
    }

    /// Commits the revocations that wait, until none is left of a user of whom no other is under way.
    async fn commit_waiting_revocations(&self) {
        let _turn = self.revocation_queue.turns.acquire().await;
        loop {
            let _publishing = self.publish().await;
            let next = self.revocation_queue.lock().take();
            if next.is_empty() {
                return;
            }
            let users = next.iter().map(|it| it.user).collect();
            let _under_way = UnderWay { queue: &self.revocation_queue, users };
            let (next, waiting): (Vec<_>, Vec<_>) =
                next.into_iter().map(|it| (it.revoke, it.answer)).unzip();
            let answers = split(self.commit_revocations(&next).await);
            for (waiting, answer) in waiting.into_iter().zip(answers) {
                // A caller that was cut off needs none.
                drop(waiting.send(answer));
            }
        }
    }

    /// On Postgres it is one statement.
    async fn commit_revocations(&self, several: &[Revoke]) -> Result<AllRevoked, StoreError> {
        let several = RevokeSeveral::new(several);
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
