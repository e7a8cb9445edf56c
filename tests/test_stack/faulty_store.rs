//! A session store that is slow, fails, and counts its calls.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use tower_sliding_session::{
    MaybeReady,
    identity::SessionKeys,
    store::{MemoryStore, SessionStore, StoreError, StoredSession, Tombstone, Touch, TouchOutcome},
};

/// How a [`FaultyStore`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreBehavior {
    Ready,
    /// Boxed, and ready at the second poll.
    Pending,
    NeverAnswering,
    Failing,
}

/// A memory store that answers as its [`StoreBehavior`] says.
pub(crate) struct FaultyStore {
    inner: MemoryStore,
    behavior: Mutex<StoreBehavior>,
    pub(crate) touches: AtomicUsize,
    pub(crate) gets: AtomicUsize,
    holds_tombstones: AtomicBool,
}

impl FaultyStore {
    pub(crate) fn new(behavior: StoreBehavior) -> Self {
        Self {
            inner: MemoryStore::new(),
            behavior: Mutex::new(behavior),
            touches: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            holds_tombstones: AtomicBool::new(false),
        }
    }

    pub(crate) fn behave(&self, behavior: StoreBehavior) {
        *self.behavior.lock().expect("not poisoned") = behavior;
    }

    /// Never answers `write_tombstone` from now on.
    pub(crate) fn hold_tombstones(&self) {
        self.holds_tombstones.store(true, SeqCst);
    }

    pub(crate) fn touches(&self) -> usize {
        self.touches.load(SeqCst)
    }

    pub(crate) fn gets(&self) -> usize {
        self.gets.load(SeqCst)
    }

    fn answer<T: Send + 'static>(&self, answer: Result<T, StoreError>) -> MaybeReady<T> {
        match *self.behavior.lock().expect("not poisoned") {
            StoreBehavior::Ready => MaybeReady::ready(answer),
            StoreBehavior::Pending => MaybeReady::new(async move {
                tokio::task::yield_now().await;
                answer
            }),
            StoreBehavior::NeverAnswering => MaybeReady::new(std::future::pending()),
            StoreBehavior::Failing => {
                MaybeReady::ready(Err(StoreError::new("db.internal refused")))
            }
        }
    }

    fn ready<T>(answer: MaybeReady<T>) -> Result<T, StoreError> {
        answer.try_ready().expect("the memory store is always ready")
    }
}

impl SessionStore for FaultyStore {
    fn is_durable(&self) -> bool {
        true
    }

    fn touch(&self, keys: SessionKeys, touch: Touch) -> MaybeReady<TouchOutcome> {
        self.touches.fetch_add(1, SeqCst);
        if matches!(
            *self.behavior.lock().expect("not poisoned"),
            StoreBehavior::NeverAnswering | StoreBehavior::Failing
        ) {
            return self.answer(Ok(TouchOutcome::Unknown));
        }
        self.answer(Self::ready(self.inner.touch(keys, touch)))
    }

    fn get(&self, keys: SessionKeys) -> MaybeReady<StoredSession> {
        self.gets.fetch_add(1, SeqCst);
        self.answer(Self::ready(self.inner.get(keys)))
    }

    fn write_tombstone(&self, tombstone: Tombstone) -> MaybeReady<bool> {
        if self.holds_tombstones.load(SeqCst) {
            return MaybeReady::new(std::future::pending());
        }
        self.answer(Self::ready(self.inner.write_tombstone(tombstone)))
    }
}
