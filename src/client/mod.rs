//! The other end: what clients need to keep their users signed in.
//!
//! [`browser`] has a module for browsers. With the feature `client`, `SessionClient` is the session of
//! a client in Rust: its layer wraps hyper-util's client, a tonic channel or reqwest.

pub mod browser;
#[cfg(feature = "client")]
mod rust;

#[cfg(feature = "client")]
pub use self::rust::{
    ClientBody, ClientEvent, ClientResponseBody, InvalidAccessToken, MemoryTokenStore, Refresh,
    RefreshError, RefreshFuture, RefreshRequest, RefreshRoute, ResponseFuture, SessionClient,
    SessionClientBuilder, SessionClientLayer, SessionClientService, TokenChange, TokenStore,
    Tokens,
};
