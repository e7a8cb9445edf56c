//! Requests over Redis: how many a second beside those over the memory store, and how many operations four
//! nodes send. Starts a `redis-server`.

#[path = "../tests/redis_server/mod.rs"]
mod redis_server;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Request, Response};
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_sliding_session::{
    JwtKeys, Policy, SlidingSessions,
    store::{LifecycleStore, MemoryStore, RedisStore},
};

use self::redis_server::RedisServer;

const SESSIONS: usize = 10_000;
const TASKS: usize = 2;

/// Requests of a round of one store.
const REQUESTS: usize = 40_000;
const ROUNDS: usize = 41;

const NODES: usize = 4;
const USERS: usize = 4_000;
const SECONDS: u64 = 20;

/// A touch interval of five seconds.
const IDLE: Duration = Duration::from_secs(300);

#[tokio::main(worker_threads = 2)]
async fn main() {
    compare_with_memory().await;
    count_operations().await;
}

fn sessions(store: Arc<dyn LifecycleStore>, policy: Policy) -> SlidingSessions {
    let keys = JwtKeys::hs256([7; 32]).expect("32 bytes");
    let sessions = SlidingSessions::builder(keys, policy).lifecycle_store(store);
    sessions.build().expect("a legal configuration")
}

async fn redis(server: &RedisServer) -> Arc<dyn LifecycleStore> {
    Arc::new(RedisStore::connect(&server.url()).await.expect("the server runs"))
}

async fn tokens(sessions: &SlidingSessions, count: usize) -> Arc<[HeaderValue]> {
    let mut tokens = Vec::new();
    for user in 0..count {
        let grant = sessions.start(format!("user-{user}")).await.expect("it starts");
        let value = format!("Bearer {}", grant.access_token());
        tokens.push(HeaderValue::try_from(value).expect("a token is ASCII"));
    }
    tokens.into()
}

/// Sends a request of each of these users. Returns how many succeeded.
async fn send(sessions: &SlidingSessions, tokens: impl Iterator<Item = &HeaderValue>) -> usize {
    let mut service = sessions.layer().layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let mut succeeded = 0;
    for token in tokens {
        let request = Request::get("/").header("authorization", token.clone()).body(());
        let request = request.expect("a valid request");
        let response = service.ready().await.expect("always ready").call(request).await;
        succeeded += usize::from(response.expect("infallible").status().is_success());
    }
    succeeded
}

/// Requests a second, each user once, and again.
async fn speed(sessions: &SlidingSessions, tokens: &Arc<[HeaderValue]>) -> f64 {
    let (watch, mut tasks) = (watch(), JoinSet::new());
    for task in 0..TASKS {
        let (sessions, tokens) = (sessions.clone(), Arc::clone(tokens));
        tasks.spawn(async move {
            let users = tokens.iter().cycle().skip(task * SESSIONS / TASKS);
            send(&sessions, users.take(REQUESTS / TASKS)).await
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), REQUESTS);
    to_f64(REQUESTS) / watch.elapsed().as_secs_f64()
}

async fn compare_with_memory() {
    let server = RedisServer::start();
    let memory = sessions(Arc::new(MemoryStore::new()), Policy::long_lived());
    let redis = sessions(redis(&server).await, Policy::long_lived());
    let (in_memory, in_redis) = (tokens(&memory, SESSIONS).await, tokens(&redis, SESSIONS).await);
    let (mut ratios, mut speeds) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let (one, other) = if round % 2 == 0 {
            let memory = speed(&memory, &in_memory).await;
            (memory, speed(&redis, &in_redis).await)
        } else {
            let redis = speed(&redis, &in_redis).await;
            (speed(&memory, &in_memory).await, redis)
        };
        speeds.push((one, other));
        // The first round reads every session.
        if round > 0 {
            ratios.push(other / one);
        }
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let (least, median, most) = (ratios[0], ratios[ROUNDS / 2], ratios[ROUNDS - 1]);
    let (memory, redis) = speeds[ROUNDS / 2];
    println!(
        "requests/s of {SESSIONS} sessions in one round: memory {memory:.0}, Redis {redis:.0}"
    );
    let quarter = |part: usize| ratios[part * ROUNDS / 4];
    println!(
        "Redis / memory in {ROUNDS} rounds: {median:.3} (half of them {:.3} to {:.3}, all {least:.3} to \
         {most:.3})",
        quarter(1),
        quarter(3)
    );
}

/// The commands that the server has run for clients, and the microseconds that its scripts took.
fn commands(server: &RedisServer) -> [u64; 3] {
    let stats = server.command(&["INFO", "commandstats"]);
    let figure = |command: &str, name: &str| {
        let line = stats.lines().find_map(|it| it.strip_prefix(&format!("cmdstat_{command}:")));
        let value = line.and_then(|line| line.split(',').find_map(|it| it.strip_prefix(name)));
        value.map_or(0, |value| value.parse().expect("a number"))
    };
    [figure("evalsha", "calls="), figure("evalsha", "usec="), figure("xread", "calls=")]
}

/// Each user sends a request a second, to one node or to all of them in turn.
async fn count_operations() {
    println!(
        "{USERS} users on {NODES} nodes, a request a second each, touch interval {} s:",
        IDLE.as_secs() / 60
    );
    for is_sticky in [true, false] {
        let server = RedisServer::start();
        let policy = Policy::builder().idle_timeout(IDLE).build().expect("a legal configuration");
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            nodes.push(sessions(redis(&server).await, policy.clone()));
        }
        let tokens = tokens(&nodes[0], USERS).await;
        let round = async |number: u64| {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            second.tick().await;
            let turn = if is_sticky { 0 } else { usize::try_from(number).expect("it is small") };
            for (at, node) in nodes.iter().enumerate() {
                let users = tokens.iter().skip((at + turn) % NODES).step_by(NODES);
                assert_eq!(send(node, users).await, USERS / NODES);
            }
            second.tick().await;
        };
        // Until every node has read the sessions, and writes their activities.
        for number in 0..10 {
            round(number).await;
        }
        let before = commands(&server);
        for number in 0..SECONDS {
            round(number).await;
        }
        let [scripts, micros, reads] = std::array::from_fn(|at| commands(&server)[at] - before[at]);
        println!(
            "each user on {}: {} scripts a second of {} us each, {} XREAD a second",
            if is_sticky { "one node" } else { "all nodes in turn" },
            scripts / SECONDS,
            micros / scripts,
            reads / SECONDS,
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a stopwatch, not the time of day")]
fn watch() -> Instant {
    Instant::now()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn to_f64(count: usize) -> f64 {
    count as f64
}
