//! A store's answer under a time limit.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{StoreError, StoreFuture};
use crate::clock::{Clock, Sleep};

/// How long a request waits for one answer.
pub(crate) const REQUEST_TIME_LIMIT: Duration = Duration::from_millis(250);

/// How long the start or the end of a session waits for one answer.
pub(crate) const LIFECYCLE_TIME_LIMIT: Duration = Duration::from_secs(5);

/// An answer on its way; an error once the limit has passed.
pub(crate) struct Timed<T> {
    answer: StoreFuture<T>,
    limit: Sleep,
}

impl<T> Timed<T> {
    pub(crate) fn new(answer: StoreFuture<T>, clock: &dyn Clock, limit: Duration) -> Self {
        Self { answer, limit: clock.sleep_until(clock.now() + limit) }
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
        self.limit
            .as_mut()
            .poll(cx)
            .map(|()| Err(StoreError::new("no answer within its time limit")))
    }
}

/// Waits for `answer`, under a time limit if it is not at hand.
pub(crate) async fn within<T: Unpin>(
    answer: StoreFuture<T>,
    clock: &dyn Clock,
    limit: Duration,
) -> Result<T, StoreError> {
    match answer.try_ready() {
        Ok(answer) => answer,
        Err(pending) => Timed::new(pending, clock, limit).await,
    }
}
