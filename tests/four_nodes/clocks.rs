//! Nodes whose clocks differ.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use tower_sliding_session::{
    Clock, RejectionKind, SystemClock, Timestamp, clock::Sleep, store::Exempt,
};

use crate::{node::Node, shared_store::SharedStore};

const SYNC: Duration = Duration::from_millis(100);
const SKEW_MILLIS: i64 = 5000;
const DAY_MILLIS: i64 = 86_400_000;

/// Longer than a busy machine takes for anything.
const BOUND: Duration = Duration::from_secs(30);

/// The system's clock, ahead by this many milliseconds.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn new(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        let by = self.0.load(Relaxed);
        let span = Duration::from_millis(by.unsigned_abs());
        let now = SystemClock.now();
        if by < 0 { now - span } else { now + span }
    }

    fn sleep_until(&self, deadline: Timestamp) -> Sleep {
        SystemClock.sleep_until(SystemClock.now() + deadline.since(self.now()))
    }
}

async fn is_rejected(node: &Node, token: &str) {
    let rejected = async {
        while node.get(token).await.err() != Some(RejectionKind::SessionRevoked) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, rejected).await.expect("the revocation is obeyed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p29_clocks_that_differ_by_the_skew_revoke_every_earlier_session_and_no_later_one() {
    for store in SharedStore::all() {
        for skew in [SKEW_MILLIS, -SKEW_MILLIS] {
            let nodes = [
                Node::new(&store, Ahead::new(0), SYNC).await,
                Node::new(&store, Ahead::new(skew), SYNC).await,
            ];
            for revoker in &nodes {
                let mut tokens = Vec::new();
                for node in &nodes {
                    tokens.push(node.sign_in("ada").await);
                }
                let scope = revoker.sessions.user_scope(None, "ada");
                revoker.sessions.revoke_all(scope, Exempt::None).await.expect("it is revoked");
                for node in &nodes {
                    for token in &tokens {
                        is_rejected(node, token).await;
                    }
                }
                for later in &nodes {
                    let token = later.sign_in("ada").await;
                    for node in &nodes {
                        let answer = node.get(&token).await.err();
                        assert_eq!(answer, None, "{} {skew} ms", store.name());
                    }
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p33_a_node_whose_clock_is_a_day_off_harms_nobody() {
    for store in SharedStore::all() {
        for wrong in [DAY_MILLIS, -DAY_MILLIS] {
            let clock = Ahead::default();
            let right = Node::new(&store, Ahead::default(), SYNC).await;
            let node = Node::new(&store, clock.clone(), SYNC).await;
            let token = right.sign_in("ada").await;
            assert_eq!(node.get(&token).await.err(), None);
            clock.0.store(wrong, Relaxed);
            let unavailable = Some(RejectionKind::StoreUnavailable);
            let name = store.name();
            for _ in 0..3 {
                assert_eq!(node.get(&token).await.err(), unavailable, "{name} {wrong}");
            }
            node.sessions.start("bob").await.expect_err("its clock is wrong");
            let scope = node.sessions.user_scope(None, "ada");
            let revoked = node.sessions.revoke_all(scope, Exempt::None).await;
            revoked.expect_err("its clock is wrong");
            for _ in 0..3 {
                assert_eq!(right.get(&token).await.err(), None, "{name} {wrong}");
            }
            clock.0.store(0, Relaxed);
            let right_again = async {
                while node.get(&token).await.is_err() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(BOUND, right_again).await.expect("its clock is right again");
            assert_eq!(right.get(&token).await.err(), None, "{name} {wrong}");
        }
    }
}
