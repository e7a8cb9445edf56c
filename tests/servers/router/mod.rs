//! The ready-made routes, inside the stack, on a clock that the test moves.

mod activity;
mod config;
mod failures;
mod refresh;
mod revoke_sessions;
mod security;
mod security_refusals;
mod service;
mod sessions;
