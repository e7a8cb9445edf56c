//! The examples, called over HTTP in process or over TCP.

mod client;

#[cfg(all(feature = "sqlite", feature = "postgres"))]
mod accounts;
mod axum;
mod cookies;
mod custom_stack;
mod inactivity;
mod rust_client;
mod threshold_renewal;
mod write_refresh;
