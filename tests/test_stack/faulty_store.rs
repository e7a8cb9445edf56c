//! Stores that are slow, fail, or count what they are asked.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use tower_sliding_session::{
    MaybeReady, Timestamp,
    identity::StoreKey,
    store::{MemoryStore, SessionStore, StoreError, StoredSession, Touch, TouchOutcome},
};

/// How a [`FaultyStore`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreBehavior {
    AtHand,
    /// Boxed, and there once it is polled a second time.
    OnItsWay,
    Silent,
    Failing,
}

/// A memory store whose answers come as its mood has it.
pub(crate) struct FaultyStore {
    inner: MemoryStore,
    behavior: Mutex<StoreBehavior>,
    pub(crate) touches: AtomicUsize,
    pub(crate) gets: AtomicUsize,
    holds_ends: AtomicBool,
}

impl FaultyStore {
    pub(crate) fn new(behavior: StoreBehavior) -> Self {
        Self {
            inner: MemoryStore::new(),
            behavior: Mutex::new(behavior),
            touches: AtomicUsize::new(0),
            gets: AtomicUsize::new(0),
            holds_ends: AtomicBool::new(false),
        }
    }

    pub(crate) fn turn(&self, behavior: StoreBehavior) {
        *self.behavior.lock().expect("not poisoned") = behavior;
    }

    /// From now on `end` is never answered; everything else is.
    pub(crate) fn hold_ends(&self) {
        self.holds_ends.store(true, SeqCst);
    }

    pub(crate) fn touches(&self) -> usize {
        self.touches.load(SeqCst)
    }

    pub(crate) fn gets(&self) -> usize {
        self.gets.load(SeqCst)
    }

    fn say<T: Send + 'static>(&self, answer: Result<T, StoreError>) -> MaybeReady<T> {
        match *self.behavior.lock().expect("not poisoned") {
            StoreBehavior::AtHand => MaybeReady::ready(answer),
            StoreBehavior::OnItsWay => MaybeReady::new(async move {
                tokio::task::yield_now().await;
                answer
            }),
            StoreBehavior::Silent => MaybeReady::new(std::future::pending()),
            StoreBehavior::Failing => {
                MaybeReady::ready(Err(StoreError::new("db.internal refused")))
            }
        }
    }

    fn known<T>(answer: MaybeReady<T>) -> Result<T, StoreError> {
        answer.try_ready().expect("the memory store answers at once")
    }
}

impl SessionStore for FaultyStore {
    fn touch(&self, session: StoreKey, touch: Touch) -> MaybeReady<TouchOutcome> {
        self.touches.fetch_add(1, SeqCst);
        if matches!(
            *self.behavior.lock().expect("not poisoned"),
            StoreBehavior::Silent | StoreBehavior::Failing
        ) {
            return self.say(Ok(TouchOutcome::Unknown));
        }
        self.say(Self::known(self.inner.touch(session, touch)))
    }

    fn get(&self, session: StoreKey) -> MaybeReady<StoredSession> {
        self.gets.fetch_add(1, SeqCst);
        self.say(Self::known(self.inner.get(session)))
    }

    fn write_tombstone(&self, session: StoreKey, until: Timestamp) -> MaybeReady<()> {
        if self.holds_ends.load(SeqCst) {
            return MaybeReady::new(std::future::pending());
        }
        self.say(Self::known(self.inner.write_tombstone(session, until)))
    }
}
