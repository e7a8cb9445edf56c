//! The axum routes behind the stack, with a manual clock.

mod activity;
mod bodies;
mod config;
mod failures;
mod other_issuer;
mod refresh;
mod revoke_sessions;
mod security;
mod security_refusals;
mod service;
mod session;
mod sessions;
