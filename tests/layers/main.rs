//! The layers, the tokens and the fused service, in process, with a manual clock.

#![allow(clippy::unchecked_time_subtraction, reason = "of constants, in tests")]

#[path = "../test_stack/mod.rs"]
mod test_stack;

mod activity;
mod activity_log;
mod adoption;
mod authenticate;
mod claims_source;
mod cookies;
mod declared_activity;
mod enforcement;
mod expose_headers;
mod forwarded_trailers;
mod issuers;
mod keys;
mod legacy;
mod live_claims;
mod log_levels;
mod made_rejections;
mod one_service;
mod p10_debug;
mod p10_secrets;
mod rejections;
mod renew;
mod renewal_limiter;
mod renewal_storm;
mod require_recent_auth;
mod session;
mod several_cookies;
mod sign_out_request;
mod stale_cookies;
mod streams;
mod successor;
mod token_cache;
mod token_length;
mod unknown_kid;
mod unsettled_grants;
mod websocket_handshake;
