//! The client's layer against axum and tonic servers over TCP.

#![allow(clippy::unchecked_time_subtraction, reason = "of constants, in tests")]

#[path = "../test_stack/mod.rs"]
mod test_stack;

mod app;
mod cases;
mod debug;
mod echo;
mod expiring;
mod grpc;
mod outage;
mod refresh;
mod renewal;
mod repeated_bodies;
mod server;
mod sign_out;
