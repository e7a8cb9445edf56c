//! What nodes of a cluster say of its slots: some know less than others, or name servers that are silent.

use super::{
    cluster::{USERS, connect, user_key},
    limiter::request,
    redis_server::RedisCluster,
    *,
};
use crate::{
    clock::Stopwatch,
    store::{RenewalLimiter as _, breaker::PROBE_TIME_LIMIT},
};

/// Waits until all of these users get an answer.
async fn are_answered(limiter: &RedisLimiter, users: &[usize]) {
    let mut missing = Vec::new();
    let answered = async {
        loop {
            let mut requests = tokio::task::JoinSet::new();
            for &user in users {
                let limiter = limiter.clone();
                requests.spawn(async move {
                    let answer = limiter.acquire(request(user, user)).await;
                    answer.is_err().then_some(user)
                });
            }
            missing = requests.join_all().await.into_iter().flatten().collect();
            if missing.is_empty() {
                return;
            }
        }
    };
    let are_answered = tokio::time::timeout(BOUND, answered).await.is_ok();
    assert!(are_answered, "these users of {} got no answer: {missing:?}", users.len());
}

/// The users whose keys are at the primary of which this holds.
fn users_at(limiter: &RedisLimiter, holds: impl Fn(&str) -> bool) -> Vec<usize> {
    let address = |user: usize| limiter.connection.address_at(&user_key(user));
    (0..USERS).filter(|user| holds(&address(*user))).collect()
}

fn is_at(server: &RedisServer) -> impl Fn(&str) -> bool {
    let url = server.url();
    move |address| url.ends_with(address)
}

/// A node of no cluster.
fn start_alone(directory: &redis_server::TemporaryDirectory) -> RedisServer {
    let file = directory.file("alone");
    RedisServer::start_with(&["--cluster-enabled", "yes", "--cluster-config-file", &file])
}

/// It was removed from the cluster, or is not part of it yet.
#[tokio::test]
async fn p23_a_node_without_slots_hides_no_others() {
    let cluster = RedisCluster::start();
    let directory = redis_server::TemporaryDirectory::new();
    let alone = start_alone(&directory);
    let addresses = [alone.url(), cluster.servers()[0].url()];
    // Whoever answers first.
    for _ in 0..30 {
        let limiter = RedisLimiter::at_cluster(addresses.clone()).time_limit(BOUND).connect().await;
        let limiter = limiter.expect("one of them has the slots");
        assert!(users_at(&limiter, str::is_empty).is_empty(), "each slot is served");
    }
}

/// A primary takes over a slot that has forgotten the others, as one does that is removed.
#[tokio::test]
async fn p23_a_node_that_has_forgotten_others_hides_them_from_nobody() {
    let mut cluster = RedisCluster::start();
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    let from = cluster.primary().url();
    let to = cluster.primary_that(|server| server.url() != from).url();
    let node = |url: &str| cluster.servers().iter().find(|server| server.url() == url);
    let (from, to) = (node(&from).expect("it runs"), node(&to).expect("it runs"));
    let moved = users_at(&limiter, is_at(from))[0];
    let others = users_at(&limiter, |address| !is_at(from)(address));
    let key = String::from_utf8(user_key(moved)).expect("it is text");
    let slot = from.command(&["CLUSTER", "KEYSLOT", &key]);
    let to_id = to.command(&["CLUSTER", "MYID"]);
    for line in to.command(&["CLUSTER", "NODES"]).lines() {
        let id = line.split(' ').next().expect("the id");
        if id != to_id {
            to.command(&["CLUSTER", "FORGET", id]);
        }
    }
    for server in [to, from] {
        assert_eq!(server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
    }
    // It leads to the primary that knows of no other.
    drop(limiter.acquire(request(moved, moved)).await);
    are_answered(&limiter, &others).await;
}

/// Two replicas become primaries, of which one does not answer this node.
#[tokio::test]
async fn p23_a_new_primary_that_is_silent_holds_up_no_users_of_others() {
    let mut cluster = RedisCluster::start();
    for server in cluster.servers() {
        server.command(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
    }
    let time_limit = Duration::from_secs(4);
    let limiter = connect(&cluster, time_limit).await;
    let one = cluster.primary().url();
    let other = cluster.primary_that(|server| server.url() != one).url();
    let one_users = users_at(&limiter, |address| one.ends_with(address));
    let new_one = cluster.promote_replica_of(&one);
    let new_other = cluster.promote_replica_of(&other);
    let server = |url: &str| cluster.servers().iter().find(|server| server.url() == url);
    let silent = server(&new_other).expect("it runs");
    // Each of those that lead to a new primary names both.
    for url in [&one, &other, &new_one] {
        let port = |url: &str| url.rsplit(':').next().expect("a port").to_owned();
        let names =
            |answer: &str| [&new_one, &new_other].iter().all(|new| answer.contains(&port(new)));
        let server = server(url).expect("it runs");
        while !names(&masters(server)) {
            std::thread::yield_now();
        }
    }
    silent.pause();
    let waited = Stopwatch::start();
    are_answered(&limiter, &one_users).await;
    assert!(waited.elapsed() < time_limit, "{:?}", waited.elapsed());
}

/// The lines of the primaries that a server knows of, and that have slots.
fn masters(server: &RedisServer) -> String {
    let nodes = server.command(&["CLUSTER", "NODES"]);
    let has_slots = |line: &&str| line.contains("master") && line.contains("connected ");
    nodes.lines().filter(has_slots).collect::<Vec<_>>().join("\n")
}

/// The nodes of a cluster name each other by addresses that begin with colons.
#[tokio::test]
async fn p23_a_slot_that_moves_is_found_at_an_address_of_ipv6() {
    let settings = ["--bind", "127.0.0.1", "::1", "--cluster-announce-ip", "::1"];
    let mut cluster = RedisCluster::start_with(&settings);
    for server in cluster.servers() {
        while server.command(&["CLUSTER", "SLOTS"]).contains("127.0.0.1") {
            std::thread::yield_now();
        }
    }
    let limiter = connect(&cluster, Duration::from_secs(1)).await;
    let from = cluster.primary().url();
    let to = cluster.primary_that(|server| server.url() != from).url();
    let port = |url: &str| url.rsplit(':').next().expect("a port").to_owned();
    let users = users_at(&limiter, |address| address == format!("::1:{}", port(&from)));
    let key = String::from_utf8(user_key(users[0])).expect("it is text");
    let server = |url: &str| cluster.servers().iter().find(|server| server.url() == url);
    let (from, to) = (server(&from).expect("it runs"), server(&to).expect("it runs"));
    let slot = from.command(&["CLUSTER", "KEYSLOT", &key]);
    let to_id = to.command(&["CLUSTER", "MYID"]);
    for server in [to, from] {
        assert_eq!(server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
    }
    are_answered(&limiter, &users).await;
}

/// It has no slot yet, so that nobody is connected to it.
#[tokio::test]
async fn p23_a_node_that_is_silent_while_it_takes_over_a_slot_is_not_waited_for() {
    let mut cluster = RedisCluster::start();
    let directory = redis_server::TemporaryDirectory::new();
    let silent = start_alone(&directory);
    let limiter = connect(&cluster, Duration::from_millis(240)).await;
    let from = cluster.primary();
    let port = from.url().rsplit(':').next().expect("a port").to_owned();
    silent.command(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    let id = silent.command(&["CLUSTER", "MYID"]);
    let user = users_at(&limiter, is_at(from))[0];
    let key = String::from_utf8(user_key(user)).expect("it is text");
    let slot = from.command(&["CLUSTER", "KEYSLOT", &key]);
    while from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id]) != "OK" {
        std::thread::yield_now();
    }
    silent.pause();
    let waited = Stopwatch::start();
    limiter.acquire(request(user, user)).await.expect_err("it does not answer");
    assert!(waited.elapsed() < PROBE_TIME_LIMIT, "{:?}", waited.elapsed());
}
