//! Stores that are slow, fail, or count what they are asked.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use tower_sliding_session::{
    Timestamp,
    store::{Key, MemoryStore, Peeked, SessionStore, StoreError, StoreFuture, Touch, Touched},
};

/// How a [`MoodyStore`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    AtHand,
    /// Boxed, and there once it is polled a second time.
    OnItsWay,
    Silent,
    Failing,
}

/// A memory store whose answers come as its mood has it.
pub(crate) struct MoodyStore {
    inner: MemoryStore,
    mood: Mutex<Mood>,
    pub(crate) touches: AtomicUsize,
    pub(crate) peeks: AtomicUsize,
    holds_ends: AtomicBool,
}

impl MoodyStore {
    pub(crate) fn new(mood: Mood) -> Self {
        Self {
            inner: MemoryStore::new(),
            mood: Mutex::new(mood),
            touches: AtomicUsize::new(0),
            peeks: AtomicUsize::new(0),
            holds_ends: AtomicBool::new(false),
        }
    }

    pub(crate) fn turn(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }

    /// From now on `end` is never answered; everything else is.
    pub(crate) fn hold_ends(&self) {
        self.holds_ends.store(true, SeqCst);
    }

    pub(crate) fn touches(&self) -> usize {
        self.touches.load(SeqCst)
    }

    pub(crate) fn peeks(&self) -> usize {
        self.peeks.load(SeqCst)
    }

    fn say<T: Send + 'static>(&self, answer: Result<T, StoreError>) -> StoreFuture<T> {
        match *self.mood.lock().expect("not poisoned") {
            Mood::AtHand => StoreFuture::ready(answer),
            Mood::OnItsWay => StoreFuture::new(async move {
                tokio::task::yield_now().await;
                answer
            }),
            Mood::Silent => StoreFuture::new(std::future::pending()),
            Mood::Failing => StoreFuture::ready(Err(StoreError::new("db.internal refused"))),
        }
    }

    fn known<T>(answer: StoreFuture<T>) -> Result<T, StoreError> {
        answer.try_ready().expect("the memory store answers at once")
    }
}

impl SessionStore for MoodyStore {
    fn touch(&self, session: Key, touch: Touch) -> StoreFuture<Touched> {
        self.touches.fetch_add(1, SeqCst);
        if matches!(*self.mood.lock().expect("not poisoned"), Mood::Silent | Mood::Failing) {
            return self.say(Ok(Touched::Unknown));
        }
        self.say(Self::known(self.inner.touch(session, touch)))
    }

    fn peek(&self, session: Key) -> StoreFuture<Peeked> {
        self.peeks.fetch_add(1, SeqCst);
        self.say(Self::known(self.inner.peek(session)))
    }

    fn end(&self, session: Key, until: Timestamp) -> StoreFuture<()> {
        if self.holds_ends.load(SeqCst) {
            return StoreFuture::new(std::future::pending());
        }
        self.say(Self::known(self.inner.end(session, until)))
    }
}
