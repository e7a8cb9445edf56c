//! How often requests ask Redis.

use std::time::Duration;

use tower_sliding_session::{ManualClock, Policy, store::RedisStore, store::SessionStore as _};

use crate::{
    redis_server::RedisServer,
    test_stack::{BEGIN, HOUR, TestStack},
};

/// The limit for 100 requests of one active user.
const MOST: u64 = 2;

/// The calls of a command, those by scripts among them.
fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]);
    let prefix = format!("cmdstat_{command}:calls=");
    let calls = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    calls.map_or(0, |calls| calls.split(',').next().expect("a number").parse().expect("a number"))
}

/// The scripts that were run for sessions: each step about one is a script. A node reads the feed by a
/// script, too, whose `XRANGE` nothing else calls.
fn operations(server: &RedisServer) -> u64 {
    let [scripts, first_scripts] = ["evalsha", "eval"].map(|command| calls(server, command));
    scripts + first_scripts - calls(server, "xrange")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p24_a_hundred_requests_of_a_user_are_at_most_two_operations() {
    for (idle, pause) in [
        // A touch interval of a minute: a request every second.
        (HOUR, Duration::from_secs(1)),
        // Of 20 seconds, as by default: five requests a second.
        (Duration::from_secs(20 * 60), Duration::from_millis(200)),
    ] {
        let server = RedisServer::start();
        let clock = ManualClock::new(BEGIN);
        let store = RedisStore::at(server.url()).time_limit(Duration::from_secs(30));
        let store = store.clock(clock.clone()).connect().await.expect("the server runs");
        let policy = Policy::builder().idle_timeout(idle).absolute_timeout(12 * HOUR);
        let policy = policy.build().expect("a legal configuration");
        let stack = TestStack::with(policy, |builder| builder.lifecycle_store(store.clone()));
        let token = stack.sign_in().await;
        let mut now = BEGIN;
        let mut requests = async |count: u32| {
            for _ in 0..count {
                now = now + pause;
                clock.set(now);
                stack.clock.set(now);
                let response = stack.get(&token).await;
                assert!(response.status().is_success());
            }
            store.flush().await.expect("activities are written");
        };
        requests(100).await;
        let before = operations(&server);
        requests(1_000).await;
        let operations = operations(&server) - before;
        println!("{operations} operations for 1,000 requests");
        assert!(operations <= 10 * MOST, "{operations}");
        assert!(operations >= 10, "one for each touch interval");
    }
}
