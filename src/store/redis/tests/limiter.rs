//! The limiter on a server that works.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;

use super::*;
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{RenewalDecision, RenewalLimiter as _, RenewalRequest, conformance},
    time::Timestamp,
};

const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn request(session: usize, user: usize) -> RenewalRequest {
    let session = StoreKey::session(None, &session.to_string());
    let user = StoreKey::user(None, None, &user.to_string());
    RenewalRequest::new(session, user, BEGIN, MINUTE)
}

#[tokio::test]
async fn it_keeps_the_rules_of_a_limiter() {
    let server = RedisServer::start();
    conformance::renewal_limiter(connect(&server).await).await;
}

#[tokio::test]
async fn p06_four_nodes_grant_one_renewal_per_user() {
    const REQUESTS: usize = 1000;
    let server = RedisServer::start();
    for users in [1, 100] {
        server.command(&["FLUSHALL"]);
        let mut nodes = Vec::new();
        for _ in 0..4 {
            nodes.push(connect(&server).await);
        }
        let mut requests = JoinSet::new();
        for number in 0..REQUESTS {
            let node = nodes[number % nodes.len()].clone();
            let request = request(number % 250, number % users);
            requests.spawn(async move { node.acquire(request).await.expect("the server answers") });
        }
        let decisions = requests.join_all().await;
        let granted = decisions.iter().filter(|&&made| made == RenewalDecision::Granted).count();
        assert_eq!(granted, users);
    }
}

#[tokio::test]
async fn p06_a_request_that_the_client_repeats_is_granted_again() {
    let server = RedisServer::start();
    let limiter = connect(&server).await;
    for _ in 0..2 {
        let decision = limiter.acquire(request(1, 1)).await.expect("the server answers");
        assert_eq!(decision, RenewalDecision::Granted);
        server.command(&["FLUSHALL"]);
    }
    let repeated = request(2, 2);
    for _ in 0..2 {
        let decision = limiter.acquire(repeated).await.expect("the server answers");
        assert_eq!(decision, RenewalDecision::Granted);
    }
    let other = limiter.acquire(request(2, 2)).await.expect("the server answers");
    assert_eq!(other, RenewalDecision::Denied);
}

#[tokio::test]
async fn p15_every_key_expires_and_is_one_of_a_users_slot() {
    let server = RedisServer::start();
    let limiter =
        RedisLimiter::at(server.url()).namespace("app-1").time_limit(BOUND).connect().await;
    let limiter = limiter.expect("the server accepts connections");
    for number in 0..20 {
        limiter.acquire(request(number, number)).await.expect("the server answers");
        limiter.release(request(number, number), BEGIN).await.expect("the server answers");
    }
    let keys = server.command(&["KEYS", "*"]);
    let keys: Vec<_> = keys.lines().collect();
    assert_eq!(keys.len(), 40);
    for key in keys {
        let lives: u64 = server.command(&["PTTL", key]).parse().expect("a number");
        assert!((1..=61_000).contains(&lives), "{lives} ms");
        let (namespace, rest) = key.split_once(":{").expect("a hash tag");
        let (user, _) = rest.split_once("}:").expect("the tag ends");
        assert_eq!((namespace, user.len()), ("app-1", 22));
    }
}

#[tokio::test]
async fn a_released_grant_leaves_no_key() {
    let server = RedisServer::start();
    let limiter = connect(&server).await;
    let request = request(1, 1);
    limiter.acquire(request).await.expect("the server answers");
    limiter.release(request, request.now).await.expect("the server answers");
    assert_eq!(server.command(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn a_script_that_the_server_has_lost_is_sent_again() {
    let server = RedisServer::start();
    let limiter = connect(&server).await;
    for number in 0..2 {
        let decision = limiter.acquire(request(number, number)).await;
        assert_eq!(decision.expect("the server answers"), RenewalDecision::Granted);
        server.command(&["SCRIPT", "FLUSH"]);
    }
}

#[tokio::test]
async fn p12_a_clock_of_the_server_that_was_set_delays_no_renewal() {
    let server = RedisServer::start();
    let limiter = connect(&server).await;
    for (number, millis) in [0, i64::MAX / 2, 1_000].into_iter().enumerate() {
        limiter.connection.set_server_time(millis);
        let decision = limiter.acquire(request(number, number)).await;
        assert_eq!(decision.expect("the server answers"), RenewalDecision::Granted, "{millis}");
    }
}

async fn error_of(address: &str) -> String {
    let error: StoreError = RedisLimiter::connect(address).await.expect_err("nothing serves there");
    let source = std::error::Error::source(&error).expect("an error has a cause");
    format!("{error}: {source}, {error:?}")
}

#[tokio::test]
async fn p10_an_error_tells_why_without_address_and_password() {
    let server = RedisServer::start_with(&["--requirepass", "s3cret-1"]);
    let open = server.url();
    let authority = open.strip_prefix("redis://").expect("a scheme");
    let denied = error_of(&format!("redis://:s3cret-2@{authority}")).await;
    let missing = error_of(&open).await;
    let closed = error_of("redis://:s3cret-2@127.0.0.1:1").await;
    let malformed = error_of("http://:s3cret-2@127.0.0.1").await;
    let name = RedisLimiter::at(open.clone()).namespace("a{b}").connect().await;
    let name = format!("{:?}", name.expect_err("the namespace has braces"));
    assert!(missing.contains("NOAUTH"), "{missing}");
    assert!(malformed.contains("redis://user:password@host:port"), "{malformed}");
    assert!(name.contains("1 to 64 of"), "{name}");
    for text in [denied, missing, closed, malformed] {
        assert!(!text.contains("s3cret") && !text.contains("127.0.0.1"), "{text}");
    }
    let builder = RedisLimiter::at("redis://:s3cret-2@127.0.0.1");
    assert_eq!(format!("{builder:?}"), "RedisLimiterBuilder { namespace: \"tss\", .. }");
}

#[tokio::test]
async fn it_refuses_a_replica() {
    let server = RedisServer::start_with(&["--replicaof", "127.0.0.1 1"]);
    assert!(error_of(&server.url()).await.contains("is a replica"));
}

#[tokio::test]
async fn it_is_shared_between_threads() {
    fn is_shared<T: Clone + Send + Sync + 'static>(_: &Arc<T>) {}
    let server = RedisServer::start();
    let limiter = Arc::new(connect(&server).await);
    is_shared(&limiter);
    assert_eq!(format!("{limiter:?}"), "RedisLimiter { is_connected: true, .. }");
}
