//! How many calls of one user are in flight: nobody takes the place of others (P31).

use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::StoreKey;

/// Lets a bounded number of calls of each user pass; further ones wait in their order.
///
/// It has an entry for each user with a call in flight or waiting, so it is as large as what the
/// server accepts at once.
pub(crate) struct UserLimit {
    calls: usize,
    users: DashMap<StoreKey, Arc<Semaphore>, RandomState>,
}

/// A call of a user in flight, until it is dropped.
pub(crate) struct InFlight<'a> {
    limit: &'a UserLimit,
    user: StoreKey,
    /// `None` once it is dropped.
    semaphore: Option<Arc<Semaphore>>,
    /// `None` while it waits.
    permit: Option<OwnedSemaphorePermit>,
}

impl UserLimit {
    /// Creates a limit of so many calls of each user.
    pub(crate) fn new(calls: usize) -> Self {
        Self { calls, users: DashMap::default() }
    }

    /// Waits until fewer calls of the user are in flight.
    pub(crate) async fn acquire(&self, user: StoreKey) -> InFlight<'_> {
        let semaphore = self.semaphore_of(user);
        let waiting = Arc::clone(&semaphore).acquire_owned();
        // Dropped too if the caller gives up while it waits.
        let mut call = InFlight { limit: self, user, semaphore: Some(semaphore), permit: None };
        call.permit = waiting.await.ok();
        call
    }

    fn semaphore_of(&self, user: StoreKey) -> Arc<Semaphore> {
        let semaphore = self.users.entry(user);
        Arc::clone(&semaphore.or_insert_with(|| Arc::new(Semaphore::new(self.calls))))
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        drop(self.semaphore.take());
        // Whoever takes the semaphore holds the lock of its entry, so a count of one stays so.
        self.limit.users.remove_if(&self.user, |_, semaphore| Arc::strong_count(semaphore) == 1);
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, task::Poll};

    use super::*;

    fn user(name: &str) -> StoreKey {
        StoreKey::session(None, name)
    }

    /// Whether a call passes at once.
    async fn passes(limit: &UserLimit, name: &str) -> bool {
        let mut call = pin!(limit.acquire(user(name)));
        std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn p31_a_user_waits_for_calls_of_its_own_only() {
        let limit = UserLimit::new(2);
        let first = limit.acquire(user("ada")).await;
        let second = limit.acquire(user("ada")).await;
        assert!(!passes(&limit, "ada").await);
        assert!(passes(&limit, "bob").await);
        drop(first);
        assert!(passes(&limit, "ada").await);
        drop(second);
        assert!(passes(&limit, "ada").await);
    }

    #[tokio::test]
    async fn p15_a_user_without_a_call_has_no_entry() {
        let limit = UserLimit::new(1);
        let call = limit.acquire(user("ada")).await;
        assert!(!passes(&limit, "ada").await, "it gives up while it waits");
        assert_eq!(limit.users.len(), 1);
        drop(call);
        assert_eq!(limit.users.len(), 0);
        assert!(passes(&limit, "bob").await);
        assert_eq!(limit.users.len(), 0);
    }
}
