//! P39: more requests than the machine bears, a store that stops answering, nodes that restart: no
//! active session is rejected, no session is admitted after its end, and no refusal is later than its time
//! limit. Every answer is compared with what the client knows of its session.
//!
//! Runs by the system's clock: the load is real. `SATURATION_SECONDS` is the time of each level of load, 6
//! by default.

#![expect(clippy::disallowed_methods, reason = "the load is real, and so is its time")]

#[path = "../postgres_server/mod.rs"]
mod postgres_server;
#[path = "../redis_server/mod.rs"]
mod redis_server;

mod answers;
mod client;
#[path = "../faults/in_time.rs"]
mod in_time;
#[path = "../faults/link.rs"]
mod link;
mod load;
mod node;
mod session;
mod shared_store;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{interval, sleep},
};

use self::{
    answers::Answers,
    load::Load,
    node::{Nodes, REQUEST_TIME_LIMIT},
    shared_store::{PAUSE, SharedStore},
};

const NODES: usize = 4;
const USERS: usize = 400;

/// How many times what the machine bears.
const LEVELS: [u32; 3] = [1, 2, 4];

const BETWEEN_RESTARTS: Duration = Duration::from_secs(2);
const BETWEEN_PAUSES: Duration = Duration::from_millis(2500);

fn seconds() -> Duration {
    let seconds = std::env::var("SATURATION_SECONDS");
    Duration::from_secs(seconds.map_or(6, |text| text.parse().expect("a number of seconds")))
}

/// One store at a time has the machine.
static MACHINE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p39_overload_on_postgres_signs_nobody_out_and_lets_nobody_in() {
    let _alone = MACHINE.lock().await;
    survives_overload(SharedStore::postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p39_overload_on_redis_signs_nobody_out_and_lets_nobody_in() {
    let _alone = MACHINE.lock().await;
    survives_overload(SharedStore::redis()).await;
}

async fn survives_overload(store: SharedStore) {
    let store = Arc::new(store);
    let answers = Arc::new(Answers::default());
    let nodes = Nodes::start(NODES, &store, &answers).await;
    let load = Load::sign_in(USERS, &nodes, &answers).await;
    let bearable = load.bearable_rate(Duration::from_secs(3)).await;
    println!("the machine bears {bearable:.0} requests a second");
    for level in LEVELS {
        let mut faults = JoinSet::new();
        faults.spawn(pause_again_and_again(Arc::clone(&store)));
        faults.spawn(restart_one_after_the_other(Arc::clone(&nodes)));
        faults.spawn(count_timers(Arc::clone(&answers)));
        load.offer(bearable * f64::from(level), seconds()).await;
        faults.shutdown().await;
        store.resume();
        println!("{level} times: (median, 99th percentile, longest) {}", answers.take_summary());
    }
    load.finish().await;
    answers.assert_no_violation();
}

async fn pause_again_and_again(store: Arc<SharedStore>) {
    loop {
        sleep(BETWEEN_PAUSES).await;
        store.pause();
        sleep(PAUSE).await;
        store.resume();
    }
}

async fn restart_one_after_the_other(nodes: Arc<Nodes>) {
    loop {
        for node in 0..NODES {
            sleep(BETWEEN_RESTARTS).await;
            nodes.restart(node).await;
        }
    }
}

/// Counts what a bare timer of the time limit takes: how long the machine lets a task wait that is ready.
async fn count_timers(answers: Arc<Answers>) {
    let mut timers = JoinSet::new();
    let mut starts = interval(Duration::from_millis(5));
    loop {
        starts.tick().await;
        let answers = Arc::clone(&answers);
        timers.spawn(async move {
            let begun = Instant::now();
            sleep(REQUEST_TIME_LIMIT).await;
            answers.count("a timer of the time limit".to_owned(), begun.elapsed());
        });
        while timers.try_join_next().is_some() {}
    }
}
