//! Four nodes of one service over each store that nodes can share: real Redis, a cluster of it, and
//! Postgres.

#[path = "../postgres_server/mod.rs"]
mod postgres_server;
#[path = "../redis_server/mod.rs"]
mod redis_server;
#[path = "../test_stack/mod.rs"]
mod test_stack;

mod activity;
mod clocks;
mod node;
mod push;
mod renewal;
mod shared_store;
