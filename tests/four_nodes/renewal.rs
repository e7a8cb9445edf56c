//! Four nodes that share a limiter in Redis.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tower_sliding_session::store::{RedisLimiter, RedisLimiterBuilder};

use crate::{
    node::NODES,
    redis_server::{RedisCluster, RedisServer},
    test_stack::{HOUR, MILLI, TestStack, patient, rejected, renewed},
};

const REQUESTS: usize = 1000;

async fn nodes(limiter: impl Fn() -> RedisLimiterBuilder) -> Vec<Arc<TestStack>> {
    let mut nodes = Vec::new();
    for _ in 0..NODES {
        // As long as a busy machine takes.
        let limiter = limiter().time_limit(Duration::from_secs(30));
        let limiter = limiter.connect().await.expect("the server runs");
        let node = TestStack::with(patient(), |builder| builder.renewal_limiter(limiter));
        nodes.push(Arc::new(node));
    }
    nodes
}

/// Sends requests of `users` to all nodes when their tokens are due. Returns how many were renewed.
async fn renewals(nodes: &[Arc<TestStack>], users: usize) -> usize {
    let mut tokens = Vec::new();
    for user in 0..users {
        tokens.push(nodes[0].sign_in_as(&format!("user-{user}")).await);
    }
    for node in nodes {
        node.at(HOUR / 2 + MILLI);
    }
    let mut requests = JoinSet::new();
    for number in 0..REQUESTS {
        let (node, token) = (Arc::clone(&nodes[number % NODES]), tokens[number % users].clone());
        requests.spawn(async move {
            let response = node.get(&token).await;
            assert_eq!(rejected(&response), None);
            renewed(&response).is_some()
        });
    }
    requests.join_all().await.into_iter().filter(|renewed| *renewed).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p06_a_thousand_requests_to_four_nodes_mint_one_token_per_user() {
    let (server, cluster) = (RedisServer::start(), RedisCluster::start());
    for users in [1, 100] {
        let here = nodes(|| RedisLimiter::at(server.url()).namespace(format!("{users}"))).await;
        assert_eq!(renewals(&here, users).await, users);
        let in_cluster = || RedisLimiter::at_cluster(cluster.urls()).namespace(format!("{users}"));
        assert_eq!(renewals(&nodes(in_cluster).await, users).await, users);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p23_while_the_limiter_is_lost_each_node_limits_by_itself() {
    let mut server = RedisServer::start();
    let nodes = nodes(|| RedisLimiter::at(server.url())).await;
    server.kill();
    let minted = renewals(&nodes, 1).await;
    assert!((1..=NODES).contains(&minted), "{minted} tokens");
}
