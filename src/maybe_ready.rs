//! An answer that is ready or pending, and its time limit.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    clock::{Clock, Sleep},
    time::Timestamp,
};

/// What a store method returns: a ready answer, or a boxed future of one.
///
/// A ready answer costs no allocation and no timer, and the layer continues within the same call.
#[must_use = "futures do nothing unless polled"]
pub struct MaybeReady<T>(State<T>);

enum State<T> {
    Ready(Option<Result<T, StoreError>>),
    Boxed(Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>),
}

impl<T> MaybeReady<T> {
    /// Creates a ready answer.
    pub fn ready(answer: Result<T, StoreError>) -> Self {
        Self(State::Ready(Some(answer)))
    }

    /// Creates a pending answer; boxes `future`.
    pub fn new<F>(future: F) -> Self
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        Self(State::Boxed(Box::pin(future)))
    }

    /// Whether the answer is at hand.
    #[cfg(feature = "metrics")]
    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready(_))
    }

    /// Returns the answer if it is ready.
    ///
    /// # Errors
    /// The future itself, if the answer is pending.
    pub fn try_ready(self) -> Result<Result<T, StoreError>, Self> {
        match self.0 {
            State::Ready(Some(answer)) => Ok(answer),
            state => Err(Self(state)),
        }
    }
}

impl<T> MaybeReady<T>
where
    T: Send + Unpin + 'static,
{
    /// Spawns a task for a pending answer, for which nothing waits. Outside of a Tokio runtime it is
    /// dropped.
    pub(crate) fn detach(self) {
        if let Err(pending) = self.try_ready()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(pending));
        }
    }
}

impl<T> Future for MaybeReady<T>
where
    T: Unpin,
{
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Ready(answer) => {
                Poll::Ready(answer.take().expect("a MaybeReady is not polled after completion"))
            }
            State::Boxed(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for MaybeReady<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "MaybeReady(ready)",
            State::Boxed(_) => "MaybeReady(boxed)",
        })
    }
}

/// A store failed. The cause is for logs; a client never sees it.
#[derive(Clone, Debug)]
pub struct StoreError(Arc<StoreFailure>);

/// On the heap, so that an answer is as small as what it holds: requests move it several times. Shared, because
/// of calls that one statement answers each gets the error.
#[derive(Debug)]
struct StoreFailure {
    kind: StoreErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store answered with an error.
    Failed,
    /// The store did not answer within the time limit.
    TimedOut,
}

impl StoreError {
    /// Creates an error with the cause `source`. Its text must contain no secrets and addresses.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::from_source(StoreErrorKind::Failed, source.into())
    }

    fn timed_out() -> Self {
        Self::from_source(StoreErrorKind::TimedOut, "no answer within its time limit".into())
    }

    fn from_source(kind: StoreErrorKind, source: Box<dyn Error + Send + Sync>) -> Self {
        Self(Arc::new(StoreFailure { kind, source }))
    }

    /// The kind of error.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.0.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session store did not answer")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0.source)
    }
}

/// The time limit of one answer to a request.
pub(crate) const REQUEST_TIME_LIMIT: Duration = Duration::from_millis(250);

/// The time limit of one answer to the lifecycle: sign-in, refresh, revocation, lists.
pub(crate) const LIFECYCLE_TIME_LIMIT: Duration = Duration::from_secs(5);

/// A pending answer with a time limit; an error when it passes.
pub(crate) struct Timed<T> {
    answer: MaybeReady<T>,
    begun: Timestamp,
    /// `None` if there is no time left.
    limit: Option<Sleep>,
}

impl<T> Timed<T> {
    pub(crate) fn new(answer: MaybeReady<T>, clock: &dyn Clock, limit: Duration) -> Self {
        let begun = clock.now();
        let limit = (!limit.is_zero()).then(|| clock.sleep_until(begun + limit));
        Self { answer, begun, limit }
    }

    /// How long it has waited.
    pub(crate) fn elapsed(&self, clock: &dyn Clock) -> Duration {
        let now = clock.now();
        now.since(self.begun.min(now))
    }
}

impl<T> Future for Timed<T>
where
    T: Unpin,
{
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(cx) {
            return Poll::Ready(answer);
        }
        match &mut self.limit {
            Some(limit) => limit.as_mut().poll(cx).map(|()| Err(StoreError::timed_out())),
            None => Poll::Ready(Err(StoreError::timed_out())),
        }
    }
}

/// Waits for `answer`, under a time limit if it is not at hand.
pub(crate) async fn within<T: Unpin>(
    answer: MaybeReady<T>,
    clock: &dyn Clock,
    limit: Duration,
) -> Result<T, StoreError> {
    match answer.try_ready() {
        Ok(answer) => answer,
        Err(pending) => Timed::new(pending, clock, limit).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn a_missing_answer_and_a_failure_are_different_kinds() {
        let clock = ManualClock::new(Timestamp::from_secs(1));
        let pending = MaybeReady::<()>::new(std::future::pending());
        let answer = within(pending, &clock, REQUEST_TIME_LIMIT);
        let (answer, ()) = tokio::join!(answer, async { clock.advance(REQUEST_TIME_LIMIT) });
        assert_eq!(answer.expect_err("no answer").kind(), StoreErrorKind::TimedOut);
        assert_eq!(StoreError::new("disk full").kind(), StoreErrorKind::Failed);
    }
}
