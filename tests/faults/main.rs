//! P23: a store that fails in every way signs nobody out and lets nobody in, holds no request up for
//! longer than its time limit, and is used again within 2 s of its recovery. Meanwhile users sign out, and
//! tokens are refreshed and renewed.
//!
//! Runs by the system's clock: the servers and their time are real. `FAULT_SECONDS` is how long each
//! fault lasts, 3 by default.

#![expect(clippy::disallowed_methods, reason = "the servers are real, and so is their time")]

#[path = "../postgres_server/mod.rs"]
mod postgres_server;
#[path = "../redis_server/mod.rs"]
mod redis_server;

mod cluster;
mod in_time;
mod limits;
mod link;
mod node;
mod postgres;
mod redis;
mod requests;
mod sign_outs;
mod sqlite;
