//! A granted renewal whose mint fails, or whose request is cancelled.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

use tower_sliding_session::{
    MaybeReady,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::test_stack::{HOUR, MILLI, TestStack, patient, renewed};

const SECOND: Duration = Duration::from_secs(1);

type Says = fn() -> MaybeReady<ClaimsUpdate>;

/// A claims source whose answer can be changed.
#[derive(Clone)]
struct Directory(Arc<Mutex<Says>>);

impl Directory {
    fn set(&self, says: Says) {
        *self.0.lock().expect("not poisoned") = says;
    }
}

impl ClaimsSource for Directory {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        self.0.lock().expect("not poisoned")()
    }
}

fn keep() -> MaybeReady<ClaimsUpdate> {
    MaybeReady::ready(Ok(ClaimsUpdate::Keep))
}

fn fail() -> MaybeReady<ClaimsUpdate> {
    MaybeReady::ready(Err(StoreError::new("the directory is away")))
}

fn silent() -> MaybeReady<ClaimsUpdate> {
    MaybeReady::new(std::future::pending())
}

/// A stack, and a token that has just become due.
async fn due(min_interval: Duration, says: Says) -> (TestStack, Directory, String) {
    let directory = Directory(Arc::new(Mutex::new(keep)));
    let policy = patient().to_builder().renew_min_interval(min_interval).build();
    let stack = TestStack::with(policy.expect("a legal configuration"), |builder| {
        builder.claims_source(directory.clone())
    });
    let token = stack.sign_in().await;
    directory.set(says);
    stack.at(HOUR / 2 + MILLI);
    (stack, directory, token)
}

#[tokio::test]
async fn p06_a_failed_mint_is_retried_after_one_second_or_a_shorter_interval() {
    for (min_interval, closed) in [(60 * SECOND, SECOND), (SECOND / 2, SECOND / 2)] {
        for (wait, expected) in [(closed - MILLI, false), (closed, true)] {
            let (stack, directory, token) = due(min_interval, fail).await;
            assert_eq!(renewed(&stack.get(&token).await), None);
            directory.set(keep);
            stack.clock.advance(wait);
            let again = renewed(&stack.get(&token).await);
            assert_eq!(again.is_some(), expected, "{min_interval:?}, {wait:?}");
        }
    }
}

#[tokio::test]
async fn p06_a_cancelled_request_releases_the_limiter_at_once() {
    let (stack, directory, token) = due(60 * SECOND, silent).await;
    let mut cancelled = Box::pin(stack.get(&token));
    assert!(cancelled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    directory.set(keep);
    assert_eq!(renewed(&stack.get(&token).await), None, "the limiter holds the grant");
    drop(cancelled);
    assert!(renewed(&stack.get(&token).await).is_some());
}
