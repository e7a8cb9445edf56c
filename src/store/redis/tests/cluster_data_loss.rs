//! One primary of a cluster loses its data: what nodes know of its users comes back.

use super::{
    nodes::{DAY, IDLE, NOW, audit},
    redis_server::RedisCluster,
    *,
};
use crate::{
    clock::ManualClock,
    identity::{Scopes, SessionKeys},
    store::{
        LifecycleStore as _, RefreshQuery, RefreshState, Rotated, Rotation, SessionRecord, SignIn,
        SuccessorIds, TokenExchange,
    },
};

/// Users of every primary.
const USERS: usize = 40;

/// How long a node waits for an answer: a primary that is lost gives none.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// How long until everything is written back, with some calls that wait for a lost primary.
const LONG: Duration = Duration::from_secs(120);

async fn connect(cluster: &RedisCluster, clock: &ManualClock) -> Result<RedisStore, StoreError> {
    let store = RedisStore::cluster(cluster.urls()).time_limit(TIME_LIMIT);
    store.clock(clock.clone()).connect().await
}

/// A cluster, and two nodes on it.
async fn start() -> (RedisCluster, [RedisStore; 2], ManualClock) {
    let (cluster, clock) = (RedisCluster::start(), ManualClock::new(NOW));
    let node = async || connect(&cluster, &clock).await.expect("it accepts connections");
    let nodes = [node().await, node().await];
    (cluster, nodes, clock)
}

/// A session of one of the users.
fn record(kind: &str, user: usize) -> SessionRecord {
    let (sid, sub) = (format!("{kind} {user}"), user.to_string());
    let scopes = Scopes::new(None, None, &sub);
    SessionRecord::new(StoreKey::session(None, &sid), sid, sub, scopes, NOW, IDLE, NOW + DAY)
}

/// The exchange of the first refresh token of a session.
fn rotation(record: &SessionRecord) -> Rotation {
    let query = RefreshQuery::new(record.key, NOW, record.scopes);
    let successors = SuccessorIds::new("access".to_owned(), "refresh".to_owned());
    Rotation::new(query, 0, TokenExchange::new(NOW, Some(successors)), record.clone())
}

/// Of each user one session that ends, and one whose refresh token is exchanged.
async fn change([one, other]: &[RedisStore; 2]) {
    for user in 0..USERS {
        let (ended, refreshed) = (record("ended", user), record("refreshed", user));
        for record in [&ended, &refreshed] {
            let sign_in = SignIn::new(record.clone(), audit("session_started"));
            one.begin(sign_in).await.expect("it begins");
        }
        let tombstone = Tombstone::new(ended.key, NOW, NOW + DAY).of_user(ended.scopes.user, None);
        one.write_tombstone(tombstone).await.expect("it ends");
        let rotated = other.rotate(rotation(&refreshed)).await.expect("the cluster answers");
        assert_eq!(rotated, Rotated::Done);
    }
}

/// Whether the cluster has what was changed of a user.
async fn is_there(node: &RedisStore, user: usize) -> bool {
    let touch = Touch::new(NOW, NOW, IDLE);
    let ended = node.touch(record("ended", user).keys(), touch).await;
    let query = rotation(&record("refreshed", user)).query;
    let state = node.0.state_of(query).await;
    matches!(ended, Ok(TouchOutcome::Ended))
        && matches!(state, Ok(RefreshState::Known(state)) if state.generation == 1)
}

/// Lets the nodes find the loss, until nodes that know nothing have everything.
async fn is_written_back(cluster: &RedisCluster, nodes: &[RedisStore; 2], clock: &ManualClock) {
    let mut missing = Vec::new();
    let found = async {
        loop {
            for node in nodes {
                // Requests of every user: without any, the client goes on asking a lost primary.
                for user in 0..USERS {
                    let query = rotation(&record("refreshed", user)).query;
                    let keys = SessionKeys::new(query.session, query.scopes.user);
                    drop(node.0.stored(keys).await);
                }
                // As each minute.
                node.0.servers.look_again();
                if node.0.sync_now().await.is_ok() {
                    drop(node.0.repair().await);
                }
            }
            let Ok(late) = connect(cluster, clock).await else { continue };
            missing.clear();
            for user in 0..USERS {
                if !is_there(&late, user).await {
                    missing.push(user);
                }
            }
            if missing.is_empty() {
                return;
            }
            // What could not be written while its primary was lost is tried again after 30 s.
            clock.advance(Duration::from_secs(30));
        }
    };
    let is_found = tokio::time::timeout(LONG, found).await.is_ok();
    assert!(is_found, "these users lack what was changed: {missing:?}");
}

/// Whether a primary has the feed.
fn has_feed(server: &RedisServer) -> bool {
    !server.command(&["KEYS", "tss:{g}:m"]).is_empty()
}

/// A primary that has the feed, or another one.
fn primary(cluster: &mut RedisCluster, of_feed: bool) -> &mut RedisServer {
    cluster.primary_that(|server| has_feed(server) == of_feed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_primary_that_was_flushed_gets_everything_back() {
    for of_feed in [false, true] {
        let (mut cluster, nodes, clock) = start().await;
        change(&nodes).await;
        primary(&mut cluster, of_feed).command(&["FLUSHALL"]);
        is_written_back(&cluster, &nodes, &clock).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_primary_that_restarts_empty_gets_everything_back() {
    for of_feed in [false, true] {
        let (mut cluster, nodes, clock) = start().await;
        change(&nodes).await;
        let server = primary(&mut cluster, of_feed);
        server.kill();
        server.restart();
        is_written_back(&cluster, &nodes, &clock).await;
    }
}
