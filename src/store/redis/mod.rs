//! Redis and Valkey: what several nodes share, one round trip away.
//!
//! A [`Connection`](connection::Connection) to a server, or to the nodes of a cluster, replaces itself
//! when the server behind it is lost. Each step that must be atomic is one [`Script`](script::Script), whose
//! keys are all passed to it and lie in one slot: that of the user. A script that must not run after
//! its caller gave up gets a deadline in the server's time.
//!
//! | key | type | holds | life |
//! |---|---|---|---|
//! | `tss:{U}:gS` | string | the grant that blocks renewals of a session: until when, and its id | interval + 1 s |
//! | `tss:{U}:r` | string | the same for the user | interval + 1 s |
//!
//! `tss` is the namespace; `U` is the key of the user and `S` that of the session, in base64url.

mod connection;
mod failure;
mod keys;
mod limiter;
mod script;
mod server_info;
mod server_time;
mod target;
#[cfg(test)]
mod tests;

pub use self::limiter::{RedisLimiter, RedisLimiterBuilder};
