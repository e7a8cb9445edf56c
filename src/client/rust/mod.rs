//! The session of a client in Rust: its layer, its tokens, their refresh.

mod answer;
mod attempt;
mod builder;
mod event;
mod future;
mod layer;
mod refresh;
mod refresh_route;
mod request_body;
mod response_body;
mod service;
mod session_client;
mod single_flight;
mod state;
mod token_store;
mod tokens;
mod unverified_claims;

pub use self::{
    builder::SessionClientBuilder,
    event::ClientEvent,
    future::ResponseFuture,
    layer::SessionClientLayer,
    refresh::{Refresh, RefreshError, RefreshFuture, RefreshRequest},
    refresh_route::RefreshRoute,
    request_body::ClientBody,
    response_body::ClientResponseBody,
    service::SessionClientService,
    session_client::SessionClient,
    token_store::{MemoryTokenStore, TokenChange, TokenStore},
    tokens::{InvalidAccessToken, Tokens},
};
