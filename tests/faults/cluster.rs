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

    async fn survives(self, fault: &str, harm: fn(&mut RedisCluster), help: fn(&mut RedisCluster)) {
        let Self { cluster, run } = self;
        let harm = async || {
            let mut cluster = cluster.lock().await;
            block_in_place(|| harm(&mut cluster));
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
        .survives("killed", |cluster| cluster.primary().kill(), RedisCluster::wait_for_failover)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_primary_paused() {
    let pause = |cluster: &mut RedisCluster| cluster.primary().pause();
    Faulty::start().await.survives("paused", pause, RedisCluster::wait_for_failover).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_primary_out_of_memory() {
    let fill = |cluster: &mut RedisCluster| {
        cluster.primary().command(&["CONFIG", "SET", "maxmemory", "1"]);
    };
    let help = |cluster: &mut RedisCluster| {
        cluster.primary().command(&["CONFIG", "SET", "maxmemory", "0"]);
    };
    Faulty::start().await.survives("out of memory", fill, help).await;
}

/// The clients of a primary lose their connections, as by a firewall.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_cluster_connections_reset() {
    let cut = |cluster: &mut RedisCluster| {
        for _ in 0..9 {
            cluster.primary().command(&["CLIENT", "KILL", "TYPE", "normal"]);
        }
    };
    Faulty::start().await.survives("resets", cut, |_| ()).await;
}

fn has_feed(server: &RedisServer) -> bool {
    !server.command(&["KEYS", "tss:{g}:m"]).is_empty()
}

/// The replica of a primary gets nothing of what is written during the fault, and takes its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_p23_redis_cluster_failover_that_loses_writes_of_users() {
    let cut_off = |cluster: &mut RedisCluster| cluster.cut_off_replica_of(|it| !has_feed(it));
    let replace = |cluster: &mut RedisCluster| {
        cluster.replace_primary_that(|it| !has_feed(it));
    };
    Faulty::start().await.survives("without its last writes", cut_off, replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p22_p23_redis_cluster_failover_that_loses_writes_of_the_feed() {
    let cut_off = |cluster: &mut RedisCluster| cluster.cut_off_replica_of(has_feed);
    let replace = |cluster: &mut RedisCluster| {
        cluster.replace_primary_that(has_feed);
    };
    Faulty::start().await.survives("without the last changes", cut_off, replace).await;
}
