//! What is asked of the server once for many callers: all who had arrived when it was asked.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::store::{race::First, turns::Turns};

/// Questions of one kind, one at a time.
#[derive(Default)]
pub(super) struct Rounds<T> {
    turns: Turns,
    begun: AtomicU64,
    answered: Mutex<Answered<T>>,
}

#[derive(Default)]
struct Answered<T> {
    /// Which question it was, counted from 1.
    number: u64,
    answer: T,
}

impl<T: Copy> Rounds<T> {
    /// Returns the answer to a question that is asked after the call: to this one, or to that of another
    /// caller.
    ///
    /// # Errors
    /// If this question fails.
    pub(super) async fn ask<E>(
        &self,
        question: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let arrived = self.begun.load(Relaxed);
        let known = || {
            let answered = self.answered();
            (answered.number > arrived).then_some(answered.answer)
        };
        let turn = match self.turns.next_unless(known).await {
            First::Left(answer) => return Ok(answer),
            First::Right(turn) => turn,
        };
        let number = self.begun.fetch_add(1, Relaxed) + 1;
        let answer = question.await?;
        *self.answered() = Answered { number, answer };
        turn.end();
        Ok(answer)
    }

    fn answered(&self) -> MutexGuard<'_, Answered<T>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        pin::{Pin, pin},
        task::Poll,
    };

    use super::*;

    async fn is_pending(mut question: Pin<&mut impl Future>) -> bool {
        poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn p22_a_question_that_was_asked_before_the_call_does_not_answer_it() {
        let rounds = Rounds::default();
        let question = |answer: u32| async move {
            tokio::task::yield_now().await;
            Ok::<_, ()>(answer)
        };
        let mut first = pin!(rounds.ask(question(1)));
        assert!(is_pending(first.as_mut()).await);
        let (mut second, mut third) =
            (pin!(rounds.ask(question(2))), pin!(rounds.ask(question(3))));
        assert!(is_pending(second.as_mut()).await && is_pending(third.as_mut()).await);
        assert_eq!(first.await, Ok(1));
        assert_eq!(second.await, Ok(2));
        assert_eq!(third.await, Ok(2), "it was asked after the third call");
        assert_eq!(rounds.ask(async { Err(()) }).await, Err(()));
    }
}
