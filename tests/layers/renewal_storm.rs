//! Ten thousand concurrent requests of a hundred users whose tokens are due for renewal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Barrier, task::JoinSet};

use crate::test_stack::{
    HOUR, MILLI, TestStack, claims,
    faulty_store::{FaultyStore, StoreBehavior},
    patient, rejected, renewed,
};

const USERS: usize = 100;
const REQUESTS: usize = 10_000;

/// A user and a successor in one of their responses.
type Minted = (String, String);

/// Signs every user in on `devices` devices, sends all requests concurrently when their tokens are
/// due, and returns the successors in the responses.
async fn storm(stack: TestStack, devices: usize) -> Vec<Minted> {
    let stack = Arc::new(stack);
    let mut tokens = Vec::new();
    for session in 0..USERS * devices {
        let user = format!("user-{}", session % USERS);
        tokens.push((user.clone(), stack.sign_in_as(&user).await));
    }
    stack.at(HOUR / 2 + MILLI);
    let start = Arc::new(Barrier::new(REQUESTS));
    let mut requests = JoinSet::new();
    for (user, token) in tokens.iter().cycle().take(REQUESTS).cloned() {
        let (stack, start) = (Arc::clone(&stack), Arc::clone(&start));
        requests.spawn(async move {
            start.wait().await;
            let response = stack.get(&token).await;
            assert_eq!(rejected(&response), None, "a request without a successor succeeds");
            renewed(&response).map(|successor| (user, successor))
        });
    }
    let answers = requests.join_all().await;
    assert_eq!(answers.len(), REQUESTS);
    answers.into_iter().flatten().collect()
}

fn assert_one_each(minted: &[Minted]) {
    let mut each = BTreeMap::<_, usize>::new();
    for (user, successor) in minted {
        assert_eq!(
            claims(successor)["sub"],
            **user,
            "the successor belongs to the user of the request"
        );
        *each.entry(user).or_default() += 1;
    }
    assert!(each.values().all(|count| *count == 1), "{each:?}");
    assert_eq!((each.len(), minted.len()), (USERS, USERS));
    let ids: BTreeSet<_> =
        minted.iter().map(|(_, token)| claims(token)["jti"].to_string()).collect();
    assert_eq!(ids.len(), USERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p06_ten_thousand_requests_of_a_hundred_users_mint_a_hundred_tokens() {
    assert_one_each(&storm(TestStack::new(patient()), 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p06_a_hundred_users_with_three_devices_each_mint_a_hundred_tokens() {
    assert_one_each(&storm(TestStack::new(patient()), 3).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p06_a_pending_store_changes_nothing() {
    let store = Arc::new(FaultyStore::new(StoreBehavior::Pending));
    assert_one_each(&storm(TestStack::with(patient(), |builder| builder.store(store)), 1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p06_without_an_interval_every_request_mints() {
    let policy = patient().to_builder().renew_min_interval(Duration::ZERO).build();
    let minted = storm(TestStack::new(policy.expect("a legal configuration")), 1).await;
    assert_eq!(minted.len(), REQUESTS, "every request gets a token");
}
