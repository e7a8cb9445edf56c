//! One primary of a cluster loses its data: what nodes know of its users comes back.

use super::{
    nodes::{DAY, IDLE, NOW, audit},
    redis_server::RedisCluster,
    *,
};
use crate::{
    clock::{Clock as _, ManualClock, Stopwatch},
    identity::{Scope, Scopes},
    store::{
        BulkRevocation, LifecycleStore as _, RefreshQuery, RefreshState, RevocationCutoff, Rotated,
        Rotation, SessionRecord, SignIn, SuccessorIds, TokenExchange, node::LossSign,
    },
};

/// Users of every primary.
const USERS: usize = 40;

/// How long a node waits for an answer. Nobody waits for a primary that is lost.
const TIME_LIMIT: Duration = BOUND;

/// How long until everything is written back at most.
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

/// Of each user one session that ends, and one whose refresh token is exchanged; and every session of another
/// issuer ends.
async fn change([one, other]: &[RedisStore; 2]) {
    let cutoff = RevocationCutoff::new(NOW, NOW + DAY);
    let all = BulkRevocation::new(elsewhere().scope(), NOW, cutoff, audit("bulk"));
    one.revoke_all(all).await.expect("they end");
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

/// A session of another issuer, which has no record here.
fn elsewhere() -> Elsewhere {
    Elsewhere(Scopes::new(Some("https://issuer"), None, "bob"))
}

struct Elsewhere(Scopes);

impl Elsewhere {
    fn scope(&self) -> Scope {
        Scope::Everything(self.0.everything)
    }

    fn is_revoked(&self, node: &RedisStore) -> bool {
        let revocations = node.revocations().expect("it has them");
        let session = StoreKey::session(None, "bob's");
        revocations.revoked_by(session, NOW, || self.0).is_some()
    }
}

/// A node that knows of the changes lets no session in that has ended, and rejects none that is active.
async fn keeps_its_promises(node: &RedisStore, user: usize) {
    let touch = Touch::new(NOW, NOW, IDLE);
    let ended = node.touch(record("ended", user).keys(), touch).await;
    assert!(matches!(ended, Ok(TouchOutcome::Ended) | Err(_)), "{user}: {ended:?}");
    let active = node.touch(record("refreshed", user).keys(), touch).await;
    assert!(matches!(active, Ok(TouchOutcome::Active(_)) | Err(_)), "{user}: {active:?}");
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
                for user in 0..USERS {
                    keeps_its_promises(node, user).await;
                }
                // As each minute.
                node.0.look_at_servers().await;
                if node.0.sync_now().await.is_ok() {
                    drop(node.0.repair().await);
                }
            }
            let Ok(late) = connect(cluster, clock).await else { continue };
            missing.clear();
            if !elsewhere().is_revoked(&late) {
                continue;
            }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_replica_of_a_cluster_that_lacks_writes_gets_them_when_it_is_promoted() {
    for of_feed in [false, true] {
        let (mut cluster, nodes, clock) = start().await;
        cluster.cut_off_replica_of(|server| has_feed(server) == of_feed);
        change(&nodes).await;
        let [before, after] = cluster.replace_primary_that(|server| has_feed(server) == of_feed);
        assert!(after < before, "it lacks what was written: {after} of {before} keys");
        is_written_back(&cluster, &nodes, &clock).await;
    }
}

/// Its replica is lost, too, and others serve its slots without its data.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_a_primary_that_was_given_up_gets_everything_back_where_its_slots_are() {
    let (mut cluster, nodes, clock) = start().await;
    change(&nodes).await;
    cluster.give_up_primary_that(|server| !has_feed(server));
    is_written_back(&cluster, &nodes, &clock).await;
}

/// A node finds by itself that a primary was replaced: by the first command for it that fails, or within a
/// minute by looking at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_each_node_finds_that_a_primary_was_replaced() {
    let (mut cluster, nodes, _clock) = start().await;
    for node in &nodes {
        node.0.repair().await.expect("the cluster answers");
        assert_eq!(node.0.loss_sign(), None);
    }
    let keys = keys::Keys::new("tss");
    let of_lost = |cluster: &mut RedisCluster| primary(cluster, false).url();
    let lost = of_lost(&mut cluster);
    let node = &nodes[0].0.connection;
    let user = (0..USERS).find(|user| {
        lost.ends_with(&node.address_at(&keys.records(record("s", *user).scopes.user)))
    });
    cluster.replace_primary_that(|server| server.url() == lost);
    for (node, is_asked) in nodes.iter().zip([true, false]) {
        node.0.sync_now().await.expect("the primary of the feed answers");
        assert_eq!(node.0.loss_sign(), None, "it has asked nothing of it");
        let found = async {
            while node.0.loss_sign().is_none() {
                if is_asked {
                    let keys = record("s", user.expect("it has users")).keys();
                    drop(node.touch(keys, Touch::new(NOW, NOW, IDLE)).await);
                } else {
                    node.0.look_at_servers().await;
                }
            }
        };
        tokio::time::timeout(BOUND, found).await.expect("it is found");
        assert_eq!(node.0.loss_sign(), Some(LossSign::Suspected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_activity_that_a_replica_lacks_signs_nobody_out() {
    for of_feed in [false, true] {
        let (mut cluster, [one, other], clock) = start().await;
        let active = async |node: &RedisStore, user: usize| {
            let now = clock.now();
            let mut touch = Touch::new(now, NOW, IDLE);
            // What a token of this age tells.
            touch.unknown_activity = now;
            node.touch(record("active", user).keys(), touch).await
        };
        for user in 0..USERS {
            let sign_in = SignIn::new(record("active", user), audit("session_started"));
            one.begin(sign_in).await.expect("it begins");
        }
        cluster.cut_off_replica_of(|server| has_feed(server) == of_feed);
        for _ in 0..3 {
            clock.advance(IDLE / 2);
            for user in 0..USERS {
                active(&one, user).await.expect("the cluster answers");
            }
            one.flush().await.expect("the cluster answers");
        }
        cluster.replace_primary_that(|server| has_feed(server) == of_feed);
        // Requests reach the node that has not seen the sessions yet.
        for user in 0..USERS {
            let touched = async {
                loop {
                    if let Ok(touched) = active(&other, user).await {
                        return touched;
                    }
                }
            };
            let touched = tokio::time::timeout(BOUND, touched).await.expect("it is replaced");
            assert!(matches!(touched, TouchOutcome::Active(_)), "{user}: {touched:?}");
        }
        // And one that starts later, of sessions whose activity the other has not written yet.
        other.0.sync_now().await.expect("the cluster answers");
        let late = connect(&cluster, &clock).await.expect("the cluster answers");
        for user in 0..USERS {
            let touched = active(&late, user).await.expect("the cluster answers");
            assert!(matches!(touched, TouchOutcome::Active(_)), "{user}: {touched:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_a_reading_waits_for_no_primary_that_is_lost() {
    for harm in [RedisServer::kill, |server: &mut RedisServer| server.pause()] {
        let (mut cluster, [one, _other], _clock) = start().await;
        harm(primary(&mut cluster, false));
        // As each minute.
        one.0.servers.look_soon();
        for _ in 0..3 {
            let reading = Stopwatch::start();
            one.0.sync_now().await.expect("the primary of the feed answers");
            assert!(reading.elapsed() < TIME_LIMIT / 2, "{:?}", reading.elapsed());
        }
    }
}
