//! A revocation reaches each node, and the streams that are open there.

use std::time::Duration;

use tower_sliding_session::{Clock as _, ManualClock, RejectionKind, SystemClock};

use crate::{node::Node, shared_store::SharedStore, test_stack::BEGIN};

/// A node that reads changes by itself once an hour.
const HOUR: Duration = Duration::from_secs(3600);
const SYNC: Duration = Duration::from_secs(1);
const JUST_BEFORE: Duration = Duration::from_millis(999);

/// How long a test waits for what comes by itself.
const PATIENCE: Duration = Duration::from_secs(20);

const PUSHED_WITHIN: Duration = Duration::from_millis(100);
const REVOCATIONS: usize = 1000;
const REVOKED: RejectionKind = RejectionKind::SessionRevoked;

/// Of 1,000 revocations 99 of 100 are heard everywhere within 100 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p18_a_revocation_is_pushed_to_every_node_and_ends_its_streams() {
    for store in SharedStore::all() {
        let nodes = Node::four(&store, SystemClock, HOUR).await;
        let mut took = Vec::new();
        for number in 0..REVOCATIONS {
            let token = nodes[0].sign_in(&format!("user {number}")).await;
            let mut streams = Vec::new();
            for node in &nodes[1..] {
                let session = node.get(&token).await.expect("the session is active");
                streams.push(tokio::spawn(session.ended()));
            }
            let session = nodes[0].get(&token).await.expect("the session is active");
            let begun = SystemClock.now();
            session.sign_out().await.expect("it is signed out");
            for (stream, node) in streams.into_iter().zip(&nodes[1..]) {
                let ended = tokio::time::timeout(PATIENCE, stream).await.expect("it is told");
                assert_eq!(ended.expect("no panic"), REVOKED, "{}", store.name());
                assert_eq!(node.get(&token).await.err(), Some(REVOKED), "{}", store.name());
            }
            took.push(SystemClock.now().since(begun));
        }
        took.sort_unstable();
        let (median, p99) = (took[REVOCATIONS / 2], took[REVOCATIONS * 99 / 100]);
        let longest = took[REVOCATIONS - 1];
        println!("{}: median {median:?}, p99 {p99:?}, longest {longest:?}", store.name());
        assert!(p99 <= PUSHED_WITHIN, "{}: p99 {p99:?}", store.name());
    }
}

/// Nothing is pushed: a node reads of it within the sync interval.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_without_push_a_revocation_is_read_in_the_sync_interval() {
    for store in SharedStore::all_without_push() {
        let clock = ManualClock::new(BEGIN);
        let nodes = Node::four(&store, clock.clone(), SYNC).await;
        let token = nodes[0].sign_in("ada").await;
        let mut streams = Vec::new();
        for node in &nodes[1..] {
            let session = node.get(&token).await.expect("the session is active");
            streams.push(session.ended());
        }
        let session = nodes[0].get(&token).await.expect("the session is active");
        session.sign_out().await.expect("it is signed out");
        clock.advance(JUST_BEFORE);
        for (stream, node) in streams.into_iter().zip(&nodes[1..]) {
            let ended = tokio::time::timeout(PATIENCE, stream).await.expect("it is read");
            assert_eq!(ended, REVOKED, "{}", store.name());
            assert_eq!(node.get(&token).await.err(), Some(REVOKED), "{}", store.name());
        }
    }
}
