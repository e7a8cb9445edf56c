//! Activity on one node keeps the session alive on all.

use std::time::Duration;

use tower_sliding_session::{
    Clock as _, ManualClock, RejectionKind, identity::StoreKey, store::LifecycleQueries as _,
};

use crate::{
    node::{IDLE, Node},
    shared_store::SharedStore,
    test_stack::{BEGIN, MILLI, MINUTE},
};

const SYNC: Duration = Duration::from_secs(1);
const TOUCH_INTERVAL: Duration = Duration::from_secs(20);
const STREAMS_END_WITHIN: Duration = Duration::from_millis(750);
const EXPIRED: RejectionKind = RejectionKind::SessionExpiredIdle;

/// How long the test waits for what comes by itself.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p36_activity_on_one_node_keeps_the_session_and_its_streams_alive_on_all() {
    for store in SharedStore::all() {
        let clock = ManualClock::new(BEGIN);
        let nodes = Node::four(&store, clock.clone(), SYNC).await;
        let token = nodes[0].sign_in("ada").await;
        let mut streams = Vec::new();
        for node in &nodes {
            let session = node.get(&token).await.expect("each node knows the session");
            streams.push(tokio::spawn(session.ended()));
        }
        // The first activity after a touch interval is written at once, the last of it at its end.
        let last = BEGIN + 15 * MINUTE + TOUCH_INTERVAL - MILLI;
        for at in [BEGIN + 15 * MINUTE, last] {
            clock.set(at);
            nodes[0].get(&token).await.expect("the session is active");
        }
        // The node writes it by itself, while time goes on.
        clock.set(last + TOUCH_INTERVAL);
        let session = nodes[0].poll(&token).await.expect("the session is active");
        let session = StoreKey::session(None, session.id());
        let reader = store.connect(clock.clone(), SYNC).await;
        let last_seen = async || {
            let record = reader.session(session, clock.now()).await.expect("the store answers");
            record.expect("it is known").last_seen
        };
        while last_seen().await < last {
            clock.advance(MILLI);
        }
        assert_eq!(last_seen().await, last);
        clock.set(last + IDLE - MILLI);
        for (number, node) in nodes.iter().enumerate() {
            let answer = node.poll(&token).await.err();
            assert_eq!(answer, None, "{} node {number}", store.name());
            assert!(!streams[number].is_finished(), "{} node {number}", store.name());
        }
        clock.set(last + IDLE);
        for (number, node) in nodes.iter().enumerate() {
            let answer = node.poll(&token).await.err();
            assert_eq!(answer, Some(EXPIRED), "{} node {number}", store.name());
        }
        // The time limit of a reading is left of the second.
        clock.advance(STREAMS_END_WITHIN);
        for stream in streams {
            let ended = tokio::time::timeout(PATIENCE, stream).await.expect("it ends");
            assert_eq!(ended.expect("no panic"), EXPIRED, "{}", store.name());
        }
    }
}
