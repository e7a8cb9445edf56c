//! The stack in axum, hyper, tonic and tower-http over TCP, and the axum routes in process.

#![allow(clippy::unchecked_time_subtraction, reason = "of constants, in tests")]

#[path = "../client/echo.rs"]
mod echo;
#[path = "../test_stack/mod.rs"]
mod test_stack;

mod axum_responses;
mod axum_tcp;
mod browser_modules;
mod client;
mod connect;
mod grpcio;
mod hyper_server;
mod hyper_tcp;
mod identity_provider;
mod live_claims;
mod nginx_cache;
mod path_rules;
mod router;
mod stack;
mod streams;
mod tonic_http2;
mod tower_http;
mod websocket_protocol;
