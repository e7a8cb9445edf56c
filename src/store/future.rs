//! The answer of a store: at hand, or on its way.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// What a store method returns: an answer at hand, or a boxed future of one.
///
/// An answer at hand costs no allocation and no timer, and the layer that asked goes on within the
/// same call.
#[must_use = "futures do nothing unless polled"]
pub struct StoreFuture<T>(State<T>);

enum State<T> {
    Ready(Option<Result<T, StoreError>>),
    Boxed(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>),
}

impl<T> StoreFuture<T> {
    /// An answer at hand.
    pub fn ready(answer: Result<T, StoreError>) -> Self {
        Self(State::Ready(Some(answer)))
    }

    /// An answer on its way; boxes `future`.
    pub fn new<F>(future: F) -> Self
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        Self(State::Boxed(Box::pin(future)))
    }

    /// The answer if it is at hand, else the future back.
    ///
    /// # Errors
    /// The future itself, where the answer is on its way.
    pub fn try_ready(self) -> Result<Result<T, StoreError>, Self> {
        match self.0 {
            State::Ready(Some(answer)) => Ok(answer),
            state => Err(Self(state)),
        }
    }
}

impl StoreFuture<()> {
    /// Goes on by itself where it is not done: nobody waits for it. Without a Tokio runtime it is
    /// dropped.
    pub(crate) fn detach(self) {
        if let Err(pending) = self.try_ready()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(pending));
        }
    }
}

impl<T> Future for StoreFuture<T>
where
    T: Unpin,
{
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Ready(answer) => {
                Poll::Ready(answer.take().expect("a StoreFuture is not polled after completion"))
            }
            State::Boxed(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for StoreFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "StoreFuture(ready)",
            State::Boxed(_) => "StoreFuture(boxed)",
        })
    }
}

/// Why a store could not answer. Its cause goes to logs, never to a client.
#[derive(Debug)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// A failure with the cause `source`; keep secrets and addresses out of its text.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session store did not answer")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
