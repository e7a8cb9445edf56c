//! The limiter on a cluster of three primaries.

use super::{
    limiter::request,
    redis_server::{RedisCluster, RedisServer},
    *,
};
use crate::store::{RenewalDecision, RenewalLimiter as _, conformance};

/// Users of every node.
pub(super) const USERS: usize = 60;

/// A key of a user.
pub(super) fn user_key(user: usize) -> Vec<u8> {
    keys::Keys::new("tss").user_grant(request(user, user).user).into_bytes()
}

pub(super) async fn connect(cluster: &RedisCluster, time_limit: Duration) -> RedisLimiter {
    let limiter = RedisLimiter::at_cluster(cluster.urls()).time_limit(time_limit).connect().await;
    limiter.expect("the cluster accepts connections")
}

/// How many users get an answer.
async fn answered(limiter: &RedisLimiter) -> usize {
    let mut requests = tokio::task::JoinSet::new();
    for user in 0..USERS {
        let limiter = limiter.clone();
        requests.spawn(async move { limiter.acquire(request(user, user)).await.is_ok() });
    }
    requests.join_all().await.into_iter().filter(|answered| *answered).count()
}

/// Waits until every user gets an answer. Returns the fewest that got one meanwhile.
async fn recovered(limiter: &RedisLimiter) -> usize {
    let mut fewest = USERS;
    let all_are_answered = async {
        loop {
            let answered = answered(limiter).await;
            if answered == USERS {
                break;
            }
            fewest = fewest.min(answered);
        }
    };
    tokio::time::timeout(BOUND, all_are_answered).await.expect("a replica takes over");
    fewest
}

#[tokio::test]
async fn it_keeps_the_rules_of_a_limiter() {
    let cluster = RedisCluster::start();
    conformance::renewal_limiter(connect(&cluster, BOUND).await).await;
}

#[tokio::test]
async fn p23_a_primary_that_is_lost_takes_no_users_of_others_with_it() {
    let mut cluster = RedisCluster::start();
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    assert_eq!(answered(&limiter).await, USERS);
    cluster.primary().kill();
    let fewest = recovered(&limiter).await;
    assert!((1..USERS).contains(&fewest), "other nodes have answered, this one has not");
}

#[tokio::test]
async fn p23_a_primary_that_is_silent_is_replaced_by_its_replica() {
    let mut cluster = RedisCluster::start();
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    cluster.primary().pause();
    let fewest = recovered(&limiter).await;
    assert!((1..USERS).contains(&fewest), "other nodes have answered, this one has not");
}

#[tokio::test]
async fn p23_a_primary_that_is_silent_opens_no_breaker_of_others() {
    let mut cluster = RedisCluster::start();
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    assert_eq!(answered(&limiter).await, USERS);
    let paused = cluster.primary();
    let address = paused.url();
    paused.pause();
    let only_it_is_lost = async {
        loop {
            for lost in limiter.connection.lost_servers() {
                assert!(address.ends_with(&lost), "{lost} answers, {address} is silent");
            }
            tokio::task::yield_now().await;
        }
    };
    let fewest = tokio::select! {
        fewest = recovered(&limiter) => fewest,
        () = only_it_is_lost => unreachable!("it goes on"),
    };
    assert!(fewest < USERS);
}

#[tokio::test]
async fn p10_an_error_of_one_node_of_a_cluster_names_no_other() {
    let cluster = RedisCluster::start();
    let mut urls = cluster.urls();
    let one = RedisLimiter::connect(&urls.remove(0)).await.expect("the node accepts connections");
    let mut moved = 0;
    for user in 0..USERS {
        let decision = one.acquire(request(user, user)).await;
        if let Err(error) = decision.map(|decision| assert_eq!(decision, RenewalDecision::Granted))
        {
            let text = format!("{error:?}");
            assert!(text.contains("Redis answered MOVED") && !text.contains("127.0.0.1"), "{text}");
            moved += 1;
        }
    }
    assert!(moved > 0);
}

/// How often a node was asked for the slots.
fn times_asked(server: &RedisServer) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]);
    let calls = stats.split("cmdstat_cluster|slots:calls=").nth(1);
    let calls = calls.and_then(|calls| calls.split(',').next());
    calls.map_or(0, |calls| calls.parse().expect("a number"))
}

/// Another primary takes over a slot.
#[tokio::test]
async fn p23_a_slot_that_moves_is_found() {
    let mut cluster = RedisCluster::start();
    let connection = connect(&cluster, BOUND).await.connection;
    let key = "tss:{u}:r";
    let slot = cluster.servers()[0].command(&["CLUSTER", "KEYSLOT", key]);
    let from = connection.address_at(key.as_bytes());
    let from = cluster.primary_that(|server| server.url().ends_with(&from)).url();
    let to = cluster.primary_that(|server| server.url() != from).url();
    let node = |url: &str| {
        let server = cluster.servers().iter().find(|server| server.url() == url);
        let server = server.expect("it is of the cluster");
        (server, server.command(&["CLUSTER", "MYID"]))
    };
    let ((from, from_id), (to, to_id)) = (node(&from), node(&to));
    let set = async |value: &str| {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(value).arg("GET");
        connection.query(&set).await.map_err(StoreError::from).expect("the cluster answers")
    };
    let text = |text: &str| redis::Value::BulkString(text.as_bytes().to_vec());
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    assert_eq!(set("while it moves").await, redis::Value::Nil);
    let mut in_order = redis::pipe();
    in_order.cmd("PING").cmd("GET").arg(key).cmd("GET").arg(key);
    let answers = connection.send_in_order(key.as_bytes(), &in_order).await;
    let answers = answers.map_err(StoreError::from).expect("the cluster answers");
    assert_eq!(answers[1..], [text("while it moves"), text("while it moves")]);
    for server in [to, from] {
        server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }
    let asked = || -> u64 { cluster.servers().iter().map(times_asked).sum() };
    let (before, connections) = (asked(), connection.number());
    let mut commands = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let connection = connection.clone();
        commands.spawn(async move { connection.query(redis::cmd("GET").arg(key)).await.is_ok() });
    }
    assert!(commands.join_all().await.into_iter().all(|is_answered| is_answered));
    assert_eq!(asked(), before + 1, "one of them asks for the slots");
    assert_eq!(connection.number(), connections, "the connections to primaries are kept");
    assert_eq!(connection.states().len(), 3, "there is one to each");
    assert_eq!(set("afterwards").await, text("while it moves"));
    assert!(to.url().ends_with(&connection.address_at(key.as_bytes())));
}

#[tokio::test]
async fn p23_a_primary_that_is_lost_while_a_node_starts_is_replaced() {
    let mut cluster = RedisCluster::start();
    cluster.primary().kill();
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    recovered(&limiter).await;
}

/// Neither the old primary nor the new one can be connected to when it is found.
#[tokio::test]
async fn p23_a_primary_that_is_silent_when_it_takes_over_is_asked_later() {
    let mut cluster = RedisCluster::start();
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    let is_primary = |server: &&RedisServer| server.command(&["ROLE"]).starts_with("master");
    let urls: Vec<_> = cluster.servers().iter().filter(is_primary).map(RedisServer::url).collect();
    cluster.primary().kill();
    let promoted = loop {
        let mut others = cluster.servers().iter().filter(|server| !urls.contains(&server.url()));
        if let Some(promoted) = others.find(is_primary) {
            break promoted;
        }
    };
    promoted.pause();
    let is_found = || {
        let mut states = limiter.connection.lost_servers().into_iter();
        states.any(|address| promoted.url().ends_with(&address))
    };
    let found = async {
        while !is_found() {
            answered(&limiter).await;
        }
    };
    tokio::time::timeout(BOUND, found).await.expect("it is found, and does not answer");
    promoted.resume();
    recovered(&limiter).await;
}

#[tokio::test]
async fn a_cluster_without_slots_cannot_serve() {
    let server = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    let limiter = RedisLimiter::at_cluster([server.url()]).time_limit(BOUND).connect().await;
    limiter.expect_err("there is no primary");
}
