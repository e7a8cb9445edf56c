//! A Postgres server.

use std::sync::Arc;

use tokio::{sync::Mutex, task::block_in_place};

use crate::{
    limits::SLOW,
    link::Link,
    node::{Connect, Node, Store},
    postgres_server::Server,
    requests::{Run, survives},
};

struct Faulty {
    server: Mutex<Server>,
    link: Link,
    run: (Arc<Run>, Node),
}

impl Faulty {
    async fn start() -> Self {
        let server = block_in_place(Server::start);
        let link = Link::to(&server.url).await;
        let url = server.url.clone();
        let connect: Connect = Box::new(move || {
            let url = url.clone();
            Box::pin(async move { Store::sql(&url).await })
        });
        let stores = [Store::sql(&link.url).await, Store::sql(&link.url).await];
        let run = Run::prepare(connect, stores).await;
        Self { server: Mutex::new(server), link, run }
    }

    async fn survives(
        self,
        fault: &str,
        harm: fn(&mut Server, &Link),
        help: fn(&mut Server, &Link),
    ) {
        let Self { server, link, run } = self;
        let act = async |action: fn(&mut Server, &Link)| {
            let mut server = server.lock().await;
            block_in_place(|| action(&mut server, &link));
        };
        let fault = format!("Postgres {fault}");
        survives(&fault, run, async || act(harm).await, async || act(help).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_postgres_killed() {
    let faulty = Faulty::start().await;
    faulty.survives("killed", |server, _| server.kill(), |server, _| server.start_again()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_postgres_paused() {
    let faulty = Faulty::start().await;
    faulty.survives("paused", |server, _| server.pause(), |server, _| server.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_postgres_connections_reset() {
    let faulty = Faulty::start().await;
    faulty.survives("resets", |_, link| link.lose_connections(), |_, link| link.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_postgres_slow() {
    let faulty = Faulty::start().await;
    faulty.survives("slow", |_, link| link.slow_down(SLOW), |_, link| link.resume()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p23_postgres_read_only() {
    fn set(server: &mut Server, value: &str) {
        server.run(&format!("ALTER SYSTEM SET default_transaction_read_only = {value}"));
        server.run("SELECT pg_reload_conf()");
    }
    let faulty = Faulty::start().await;
    faulty
        .survives("read-only", |server, _| set(server, "on"), |server, _| set(server, "off"))
        .await;
}
