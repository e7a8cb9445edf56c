//! The limiter on a server that is lost, paused, demoted or slow. These tests wait for events.

use super::{limiter::request, *};
use crate::{
    clock::Stopwatch,
    maybe_ready::StoreError,
    store::{RenewalDecision, RenewalLimiter as _},
};

async fn acquire(limiter: &RedisLimiter, number: usize) -> Result<RenewalDecision, StoreError> {
    let answer = limiter.acquire(request(number, number));
    tokio::time::timeout(BOUND, answer).await.expect("an answer or an error")
}

/// Sends requests until one of them finds the connection lost.
async fn lose(limiter: &RedisLimiter) {
    let lost = async {
        let mut number = 1000;
        while limiter.connection.is_connected() {
            acquire(limiter, number).await.expect_err("the server does not serve");
            number += 1;
        }
    };
    tokio::time::timeout(BOUND, lost).await.expect("the connection is given up");
}

async fn wait_for_connection(limiter: &RedisLimiter) {
    let connected = limiter.connection.connected();
    tokio::time::timeout(BOUND, connected).await.expect("the connection is replaced");
}

#[tokio::test]
async fn p23_a_server_that_was_killed_is_connected_to_again() {
    let mut server = RedisServer::start();
    let limiter = connect(&server).await;
    acquire(&limiter, 1).await.expect("the server answers");
    server.kill();
    lose(&limiter).await;
    let error = acquire(&limiter, 2).await.expect_err("no server");
    assert!(format!("{error:?}").contains("on new connections"), "it failed at once: {error:?}");
    server.restart();
    wait_for_connection(&limiter).await;
    let decision = acquire(&limiter, 1).await.expect("the server answers");
    assert_eq!(decision, RenewalDecision::Granted, "the server forgot the grant, and the script");
}

#[tokio::test]
async fn p23_a_paused_server_is_replaced_and_executes_nothing_that_its_caller_gave_up() {
    let server = RedisServer::start();
    let limiter = RedisLimiter::connect(&server.url()).await.expect("the server runs");
    server.pause();
    let error = acquire(&limiter, 2).await.expect_err("the server is paused");
    assert!(format!("{error:?}").contains("did not answer in time"), "{error:?}");
    lose(&limiter).await;
    server.resume();
    wait_for_connection(&limiter).await;
    let decision = acquire(&limiter, 2).await.expect("the server answers");
    assert_eq!(decision, RenewalDecision::Granted, "the late command was not executed");
}

#[tokio::test]
async fn p23_a_demoted_server_is_left() {
    let server = RedisServer::start();
    let limiter = connect(&server).await;
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    lose(&limiter).await;
    server.command(&["REPLICAOF", "NO", "ONE"]);
    wait_for_connection(&limiter).await;
    acquire(&limiter, 1).await.expect("the server answers");
}

#[tokio::test]
async fn p23_a_server_without_memory_is_asked_again() {
    let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
    let limiter = connect(&server).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = acquire(&limiter, 1).await.expect_err("the server has no memory");
    assert!(format!("{error:?}").contains("OOM"), "{error:?}");
    assert!(limiter.connection.is_connected());
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    acquire(&limiter, 1).await.expect("the server answers");
}

/// An answer counts, be it an error: the calls between that fail are no outage.
#[tokio::test]
async fn p23_a_server_that_answers_now_and_then_is_asked() {
    for memory in ["0", "1"] {
        let server = RedisServer::start_with(&["--maxmemory-policy", "noeviction"]);
        let limiter = RedisLimiter::connect(&server.url()).await.expect("the server runs");
        server.command(&["CONFIG", "SET", "maxmemory", memory]);
        // Longer than a server is silent that counts as lost.
        let failing = Stopwatch::start();
        let mut number = 0;
        while failing.elapsed() < Duration::from_secs(3) {
            server.pause();
            acquire(&limiter, number).await.expect_err("the server is paused");
            server.resume();
            let is_answered = async |number| match acquire(&limiter, number).await {
                Ok(_) => true,
                Err(error) => format!("{error:?}").contains("OOM"),
            };
            number += 1;
            while !is_answered(number).await {
                assert!(limiter.connection.is_connected());
                number += 1;
            }
        }
    }
}

#[tokio::test]
async fn the_task_that_connects_ends_with_the_limiter() {
    let mut server = RedisServer::start();
    let limiter = connect(&server).await;
    server.kill();
    lose(&limiter).await;
    let tasks = tokio::runtime::Handle::current().metrics();
    drop(limiter);
    let ended = async {
        while tasks.num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(BOUND, ended).await.expect("no task is left");
}
