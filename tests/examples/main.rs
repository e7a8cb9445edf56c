//! The examples, called over HTTP in process or over TCP.
#![allow(clippy::duplicate_mod, reason = "two examples share the files of their pages")]

mod client;

#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod accounts;
mod axum;
#[cfg(feature = "redis")]
mod cluster;
mod cookies;
mod custom_stack;
#[cfg(feature = "conformance")]
mod custom_store;
#[cfg(feature = "axum-router")]
mod demo;
mod inactivity;
mod rust_client;
mod threshold_renewal;
mod tonic;
mod write_refresh;
