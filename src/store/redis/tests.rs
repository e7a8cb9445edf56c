use std::time::Duration;

use super::*;

mod activities;
mod background;
mod clocks;
mod cluster;
mod cluster_data_loss;
mod cluster_map;
mod data_loss;
mod ends_once;
mod exchanges;
mod folding;
mod kept_changes;
mod late;
mod limited_sign_in;
mod limiter;
mod lists;
mod logs;
mod memory;
mod new_store;
mod nodes;
mod outage;
mod places;
#[path = "../../../tests/redis_server/mod.rs"]
mod redis_server;
mod repairs;
mod replicas;
mod resent;
mod revoke_all;
mod sign_in;
mod tls;

use self::redis_server::RedisServer;

/// Longer than a busy machine takes for anything.
const BOUND: Duration = Duration::from_secs(30);

/// A limiter whose server has as much time as it needs.
async fn connect(server: &RedisServer) -> RedisLimiter {
    let limiter = RedisLimiter::at(server.url()).time_limit(BOUND).connect().await;
    limiter.expect("the server accepts connections")
}
