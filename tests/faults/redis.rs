//! One Redis server that keeps what it has answered.

use std::sync::Arc;

use tokio::{sync::Mutex, task::block_in_place};

use crate::{
    limits::SLOW,
    link::Link,
    node::{Connect, Node, Store},
    redis_server::RedisServer,
    requests::{Run, survives},
};

struct Faulty {
    server: Mutex<RedisServer>,
    link: Link,
    run: (Arc<Run>, Node),
}

impl Faulty {
    async fn start() -> Self {
        let server = RedisServer::start_with(&["--appendonly", "yes"]);
        let link = Link::to(&server.url()).await;
        let url = server.url();
        let connect: Connect = Box::new(move || {
            let url = url.clone();
            Box::pin(async move { Store::redis(&url).await })
        });
        let stores = [Store::redis(&link.url).await, Store::redis(&link.url).await];
        let run = Run::prepare(connect, stores).await;
        Self { server: Mutex::new(server), link, run }
    }

    async fn survives(
        self,
        fault: &str,
        harm: fn(&mut RedisServer, &Link),
        help: fn(&mut RedisServer, &Link),
    ) {
        let Self { server, link, run } = self;
        let act = async |action: fn(&mut RedisServer, &Link)| {
            let mut server = server.lock().await;
            block_in_place(|| action(&mut server, &link));
        };
        survives(
            &format!("Redis {fault}"),
            run,
            async || act(harm).await,
            async || act(help).await,
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_killed() {
    let faulty = Faulty::start().await;
    faulty.survives("killed", |server, _| server.kill(), |server, _| server.restart()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_paused() {
    let faulty = Faulty::start().await;
    faulty.survives("paused", |server, _| server.pause(), |server, _| server.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_connections_reset() {
    let faulty = Faulty::start().await;
    faulty.survives("resets", |_, link| link.lose_connections(), |_, link| link.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_slow() {
    let faulty = Faulty::start().await;
    faulty.survives("slow", |_, link| link.slow_down(SLOW), |_, link| link.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_out_of_memory() {
    let faulty = Faulty::start().await;
    faulty
        .survives(
            "out of memory",
            |server, _| drop(server.command(&["CONFIG", "SET", "maxmemory", "1"])),
            |server, _| drop(server.command(&["CONFIG", "SET", "maxmemory", "0"])),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_redis_read_only() {
    let faulty = Faulty::start().await;
    faulty
        .survives(
            "read-only",
            |server, _| drop(server.command(&["REPLICAOF", "127.0.0.1", "1"])),
            |server, _| drop(server.command(&["REPLICAOF", "NO", "ONE"])),
        )
        .await;
}
