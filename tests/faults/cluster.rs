//! A Redis cluster, of which one primary fails.

use std::sync::Arc;

use tokio::{sync::Mutex, task::block_in_place};

use crate::{
    node::{Connect, Node, Store},
    redis_server::{RedisCluster, RedisServer},
    requests::{Run, survives},
};

struct Faulty {
    cluster: Mutex<RedisCluster>,
    run: (Arc<Run>, Node),
}

impl Faulty {
    async fn start() -> Self {
        let cluster = block_in_place(RedisCluster::start);
        let urls = || cluster.urls();
        let all = urls();
        let connect: Connect = Box::new(move || Box::pin(Store::cluster(all.clone())));
        let stores = [Store::cluster(urls()).await, Store::cluster(urls()).await];
        let run = Run::prepare(connect, stores).await;
        Self { cluster: Mutex::new(cluster), run }
    }

    async fn survives(self, fault: &str, harm: fn(&mut RedisServer), help: fn(&mut RedisCluster)) {
        let Self { cluster, run } = self;
        let harm = async || {
            let mut cluster = cluster.lock().await;
            block_in_place(|| harm(cluster.primary()));
        };
        let help = async || {
            let mut cluster = cluster.lock().await;
            block_in_place(|| help(&mut cluster));
        };
        survives(&format!("a cluster's primary {fault}"), run, harm, help).await;
    }
}

/// A replica takes the place of a primary that is lost, and the cluster answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_primary_killed() {
    Faulty::start()
        .await
        .survives("killed", RedisServer::kill, RedisCluster::wait_for_failover)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_primary_paused() {
    let pause = |server: &mut RedisServer| server.pause();
    Faulty::start().await.survives("paused", pause, RedisCluster::wait_for_failover).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_primary_out_of_memory() {
    let fill =
        |server: &mut RedisServer| drop(server.command(&["CONFIG", "SET", "maxmemory", "1"]));
    let help = |cluster: &mut RedisCluster| {
        cluster.primary().command(&["CONFIG", "SET", "maxmemory", "0"]);
    };
    Faulty::start().await.survives("out of memory", fill, help).await;
}

/// The clients of a primary lose their connections, as by a firewall.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_connections_reset() {
    let cut = |server: &mut RedisServer| {
        for _ in 0..9 {
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    };
    Faulty::start().await.survives("resets", cut, |_| ()).await;
}
