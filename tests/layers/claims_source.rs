//! The claims source, which a renewal asks for current claims.

use std::{pin::Pin, sync::Arc, task::Poll, time::Duration};

use serde_json::json;
use tower_sliding_session::{
    ManualClock, MaybeReady, RejectionKind,
    store::StoreError,
    token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
};

use crate::test_stack::{
    Answer, MILLI, TestStack, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    patient, rejected, renewed,
};

const HALF: Duration = Duration::from_secs(1800);

struct Says(fn() -> MaybeReady<ClaimsUpdate>);

impl ClaimsSource for Says {
    fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
        self.0()
    }
}

/// A stack whose token, of an admin, is due for renewal.
async fn due(says: fn() -> MaybeReady<ClaimsUpdate>) -> (TestStack, Arc<FaultyStore>, String) {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Ready));
    let stack = TestStack::with(patient(), |builder| {
        builder.claims_source(Says(says)).store(Arc::clone(&store))
    });
    let start = stack.sessions.start("ada").claims(&json!({ "role": "admin" }));
    let token = start.await.expect("the session starts").access_token().to_owned();
    stack.at(HALF + MILLI);
    (stack, store, token)
}

#[tokio::test]
async fn p02_a_demoted_admin_loses_the_role_at_the_next_renewal() {
    let (stack, _, token) =
        due(|| MaybeReady::ready(ClaimsUpdate::replace(&json!({})).map_err(StoreError::new))).await;
    let successor = renewed(&stack.get(&token).await).expect("renewal is due");
    assert_eq!(claims(&token)["role"], "admin");
    assert_eq!(claims(&successor).get("role"), None);
    assert_eq!(claims(&successor)["sid"], claims(&token)["sid"]);
}

#[tokio::test]
async fn unchanged_claims_are_carried_over() {
    let (stack, _, token) = due(|| MaybeReady::ready(Ok(ClaimsUpdate::Keep))).await;
    let successor = renewed(&stack.get(&token).await).expect("renewal is due");
    assert_eq!(claims(&successor)["role"], "admin");
}

#[tokio::test]
async fn a_denial_or_an_error_prevents_the_renewal_but_not_the_response() {
    for says in
        [(|| MaybeReady::ready(Ok(ClaimsUpdate::Deny))) as fn() -> MaybeReady<ClaimsUpdate>, || {
            MaybeReady::ready(Err(StoreError::new("the directory is away")))
        }]
    {
        let (stack, _, token) = due(says).await;
        let response = stack.get(&token).await;
        assert_eq!((rejected(&response), renewed(&response)), (None, None));
    }
}

#[tokio::test]
async fn p02_an_update_that_ends_the_session_revokes_it() {
    let (stack, _, token) = due(|| MaybeReady::ready(Ok(ClaimsUpdate::End))).await;
    let response = stack.get(&token).await;
    assert_eq!((rejected(&response), renewed(&response)), (None, None));
    assert_eq!(rejected(&stack.get(&token).await), Some(RejectionKind::SessionRevoked));
}

async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// The response to a request that is pending, `wait` later.
async fn answer_after(stack: &TestStack, token: &str, wait: Duration) -> Option<Answer> {
    let clock: ManualClock = stack.clock.clone();
    let mut request = Box::pin(stack.get(token));
    assert!(poll_once(request.as_mut()).await.is_none());
    clock.advance(wait);
    poll_once(request.as_mut()).await
}

#[tokio::test]
async fn a_claims_source_that_does_not_answer_fails_after_1_s() {
    for (wait, expected) in [(999, false), (1000, true)] {
        let (stack, _, token) = due(|| MaybeReady::new(std::future::pending())).await;
        let answer = answer_after(&stack, &token, Duration::from_millis(wait)).await;
        assert_eq!(answer.is_some(), expected, "{wait} ms");
        assert!(answer.is_none_or(|answer| renewed(&answer).is_none()));
    }
}

#[tokio::test]
async fn a_store_that_does_not_write_the_tombstone_does_not_delay_the_response() {
    let (stack, store, token) = due(|| MaybeReady::ready(Ok(ClaimsUpdate::End))).await;
    store.hold_tombstones();
    let answer = answer_after(&stack, &token, Duration::from_secs(5)).await;
    assert!(answer.is_some_and(|answer| renewed(&answer).is_none()));
}
