//! Whether an answer is in time, as its node sees it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use tokio::time::sleep;

/// How much later than its time limit an answer may be.
const LATE: Duration = Duration::from_millis(5);

/// Completes an answer. Whether it was late: a timer of the time limit and 5 ms, which began with it, has
/// fired, and the answer is still not there. Both go by the timers of one task, so it says what the node
/// does, and nothing of how long the machine let it wait.
pub(crate) async fn in_time<T>(answer: impl Future<Output = T>, limit: Duration) -> (T, bool) {
    let mut answer = pin!(answer);
    // The layers have begun to wait before the timer begins.
    if let Some(answer) = poll_once(answer.as_mut()).await {
        return (answer, false);
    }
    tokio::select! {
        biased;
        answer = &mut answer => return (answer, false),
        () = sleep(limit + LATE) => {}
    }
    match poll_once(answer.as_mut()).await {
        Some(answer) => (answer, false),
        None => (answer.await, true),
    }
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
