//! What is done once for all who wait for it: a reading of the store that many requests need.
//!
//! With a lock alone those who wait would go on one after the other, each when the one before has run: on a
//! node with much to do that is later than a request waits.

use std::{pin::pin, sync::Arc};

use tokio::sync::{Mutex, Notify, OwnedMutexGuard};

use super::race::{First, race};

/// One turn at a time.
#[derive(Clone, Default)]
pub(super) struct Turns {
    taken: Arc<Mutex<()>>,
    ended: Arc<Notify>,
}

/// The right to do it. When it is dropped, the next one has a turn.
pub(super) struct Turn {
    _taken: OwnedMutexGuard<()>,
    ended: Arc<Notify>,
}

impl Turn {
    /// It is done: all who wait look at what is known. After a turn in vain only the next one goes on.
    pub(super) fn end(self) {
        self.ended.notify_waiters();
    }
}

impl Turns {
    /// Waits for a turn; or returns what is known, as soon as another turn has made it so.
    pub(super) async fn next_unless<T>(&self, known: impl Fn() -> Option<T>) -> First<T, Turn> {
        let mut taken = pin!(Arc::clone(&self.taken).lock_owned());
        loop {
            // Before the look, so that no end is missed.
            let ended = self.ended.notified();
            if let Some(known) = known() {
                return First::Left(known);
            }
            if let First::Right(taken) = race(ended, taken.as_mut()).await {
                let turn = Turn { _taken: taken, ended: Arc::clone(&self.ended) };
                // It may have ended between the look and the lock.
                return known().map_or(First::Right(turn), First::Left);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        cell::Cell,
        future::{Future, poll_fn},
        pin::Pin,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
        task::Poll,
    };

    use tokio::task::JoinSet;

    use super::*;

    const WAITING: usize = 20;

    /// A call that is polled by hand.
    type Call<F> = Pin<Box<F>>;

    async fn poll<F: Future>(call: &mut Call<F>) -> Poll<F::Output> {
        poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await
    }

    /// Begins calls that wait.
    async fn waiting<F: Future>(call: impl FnMut() -> F) -> Vec<Call<F>> {
        let calls = std::iter::repeat_with(call).map(Box::pin);
        let mut calls: Vec<_> = calls.take(WAITING).collect();
        for call in &mut calls {
            assert!(poll(call).await.is_pending());
        }
        calls
    }

    /// Begins calls that wait for what the one at `last` does, and completes those up to it.
    ///
    /// # Panics
    /// If one of the others is not ready then, whichever is polled first.
    pub(in crate::store) async fn all_go_on_with<F: Future>(last: usize, call: impl FnMut() -> F) {
        let mut calls = waiting(call).await;
        for call in calls.drain(..=last) {
            call.await;
        }
        for call in calls.iter_mut().rev() {
            assert!(poll(call).await.is_ready(), "it waits for another one to go on");
        }
    }

    /// Takes a turn.
    async fn taken(turns: &Turns) -> Turn {
        match turns.next_unless(|| None::<()>).await {
            First::Right(turn) => turn,
            First::Left(()) => unreachable!("nothing is known"),
        }
    }

    #[tokio::test]
    async fn p39_all_who_wait_go_on_at_once() {
        let (turns, is_known) = (Turns::default(), Cell::new(false));
        all_go_on_with(0, async || {
            if let First::Right(turn) = turns.next_unless(|| is_known.get().then_some(())).await {
                tokio::task::yield_now().await;
                is_known.set(true);
                turn.end();
            }
        })
        .await;
    }

    #[tokio::test]
    async fn p39_a_turn_in_vain_is_followed_by_one_of_another() {
        let (turns, is_known) = (Turns::default(), Cell::new(false));
        let turn = taken(&turns).await;
        let known = || is_known.get().then_some(());
        let mut calls = waiting(|| turns.next_unless(known)).await;
        drop(turn);
        let mut next = Vec::new();
        for call in &mut calls {
            if let Poll::Ready(First::Right(turn)) = poll(call).await {
                next.push(turn);
            }
        }
        assert_eq!(next.len(), 1, "the others wait for this one");
        is_known.set(true);
        next.remove(0).end();
        for call in &mut calls[1..] {
            assert!(matches!(poll(call).await, Poll::Ready(First::Left(()))));
        }
    }

    /// In an outage each of thousands may have a turn in vain.
    #[tokio::test]
    async fn p39_a_turn_in_vain_wakes_nobody_but_the_next() {
        let turns = Turns::default();
        let looks = Arc::new(AtomicUsize::new(0));
        let turn = taken(&turns).await;
        let mut tasks = JoinSet::new();
        for _ in 0..WAITING {
            let (turns, looks) = (turns.clone(), Arc::clone(&looks));
            tasks.spawn(async move {
                let known = || {
                    looks.fetch_add(1, Relaxed);
                    None::<()>
                };
                drop(turns.next_unless(known).await);
            });
        }
        tokio::task::yield_now().await;
        drop(turn);
        tasks.join_all().await;
        assert_eq!(looks.load(Relaxed), 2 * WAITING, "before and after the lock");
    }
}
