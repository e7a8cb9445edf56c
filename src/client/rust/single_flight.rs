//! One refresh at a time, for all requests that wait for it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Handle, sync::watch};

/// The refresh that was started last; it is running as long as its sender is there.
///
/// It runs in a task of its own: whoever has started it may be dropped, because the server may have
/// exchanged the token already.
pub(super) struct SingleFlight {
    running: Mutex<Option<watch::Receiver<Option<Outcome>>>>,
}

/// How a refresh has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The store may have other tokens now.
    Settled,
    /// The refresh token could not be exchanged; the tokens are the same.
    Failed,
}

/// Waits for a refresh; `None` if its task was dropped, as with its runtime.
pub(super) type Waiting = Pin<Box<dyn Future<Output = Option<Outcome>> + Send>>;

/// Whether nothing has been decided since: the lock of a [`SingleFlight`].
pub(super) struct Undecided<'a>(MutexGuard<'a, Option<watch::Receiver<Option<Outcome>>>>);

impl SingleFlight {
    pub(super) const fn new() -> Self {
        Self { running: Mutex::new(None) }
    }

    /// Locks out the start of another refresh, while the tokens are compared.
    pub(super) fn lock(&self) -> Undecided<'_> {
        Undecided(self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Undecided<'_> {
    /// Joins the refresh that is running, or spawns the one that `start` returns. `None` outside a
    /// tokio runtime.
    pub(super) fn join_or_spawn<F>(mut self, start: impl FnOnce() -> F) -> Option<Waiting>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        // A refresh that has ended, or whose runtime was shut down, has left its sender closed.
        let running = self.0.as_ref().filter(|outcome| outcome.has_changed().is_ok());
        let outcome = if let Some(outcome) = running {
            outcome.clone()
        } else {
            let Ok(runtime) = Handle::try_current() else {
                tracing::warn!("a session client refreshes its tokens in a tokio runtime only");
                return None;
            };
            let (sender, outcome) = watch::channel(None);
            let refresh = start();
            runtime.spawn(async move {
                sender.send_replace(Some(refresh.await));
            });
            *self.0 = Some(outcome.clone());
            outcome
        };
        Some(Box::pin(wait(outcome)))
    }
}

async fn wait(mut outcome: watch::Receiver<Option<Outcome>>) -> Option<Outcome> {
    *outcome.wait_for(Option::is_some).await.ok()?
}
