//! A client in Rust (feature `client`).
//!
//! [`SessionClient`](crate::client::SessionClient) holds the tokens of one session. Its layer wraps a
//! Tower client: hyper-util's, a tonic channel, reqwest. It does what the [contract](super::client)
//! asks of a client:
//!
//! | the server | the layer |
//! |---|---|
//! | renews the token, in a header, in gRPC's metadata or in trailers | takes it, if it is of the same `sid` and was minted later |
//! | rejects with `token_expired` | refreshes once for all requests, and sends them again |
//! | rejects a token that was replaced meanwhile | sends the request again with the current one |
//! | says that the session has ended, or refuses the refresh token | deletes the tokens, and tells [`SignedOut`](crate::client::ClientEvent::SignedOut) with the reason |
//! | says in `Session-Expires` when the session expires | tells [`Expiring`](crate::client::ClientEvent::Expiring), with which an application can warn its user |
//! | asks for a more recent sign-in | tells [`RecentAuthenticationRequired`](crate::client::ClientEvent::RecentAuthenticationRequired); the session goes on |
//! | answers 503, another 401, or not at all | keeps the tokens |
//!
//! Without a repetition the application gets the response as it came. The client reads no clock: a
//! token is refreshed when the server refuses it, however wrong the clock of the device is.
//!
//! # hyper-util
//!
//! [`SessionClient`](crate::client::SessionClient) shows the whole set-up. Sign-in and sign-out are calls of the
//! application: it sends the password, and passes the [`Grant`](crate::Grant) of the response on.
//!
//! ```
//! use tower_sliding_session::{Grant, client::SessionClient};
//!
//! fn signed_in(session: &SessionClient, body: &[u8]) -> Result<(), serde_json::Error> {
//!     let grant: Grant = serde_json::from_slice(body)?;
//!     session.sign_in(grant);
//!     Ok(())
//! }
//! ```
//!
//! Any other body goes through [`Tokens::new`](crate::client::Tokens::new). A request for the sign-in
//! route may go through the layer too: while nobody is signed in, requests pass untouched.
//!
//! # tonic
//!
//! A channel takes one type of bodies, so `map_request_body` of tower-http stands between:
//!
//! ```
//! use tonic::transport::Channel;
//! use tonic_health::pb::health_client::HealthClient;
//! use tower::ServiceBuilder;
//! use tower_http::map_request_body::MapRequestBodyLayer;
//! use tower_sliding_session::client::SessionClient;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let session = SessionClient::builder().build();
//! let channel = Channel::from_static("http://127.0.0.1:50051").connect_lazy();
//! let channel = ServiceBuilder::new()
//!     .layer(session.layer())
//!     .layer(MapRequestBodyLayer::new(tonic::body::Body::new))
//!     .service(channel);
//! let client = HealthClient::new(channel);
//! # drop(client);
//! # }
//! ```
//!
//! Streams are repeated too: what was sent of the request, up to 64 KiB, is sent again, and the stream
//! goes on.
//!
//! # reqwest
//!
//! The example `client` has the adapter, of ten lines.
//!
//! # Refresh
//!
//! [`RefreshRoute`](crate::client::RefreshRoute) calls the ready-made route over HTTP. For a method of
//! your own, such as a gRPC call, pass a closure. It runs in a task of its own, because a server may
//! have exchanged the token when its caller gives up. Give it a time limit.
//!
//! ```
//! use tower_sliding_session::{
//!     RejectionKind,
//!     client::{RefreshError, RefreshRequest, SessionClient, Tokens},
//! };
//!
//! # async fn call(token: &str, background: bool) -> Result<(String, String), tonic::Status> {
//! #     Err(tonic::Status::unavailable(""))
//! # }
//! let session = SessionClient::builder()
//!     .refresh(async |request: RefreshRequest| {
//!         match call(request.refresh_token(), request.is_background()).await {
//!             Ok((access, refresh)) => Tokens::new(access)
//!                 .map(|tokens| tokens.with_refresh_token(refresh))
//!                 .map_err(RefreshError::unavailable),
//!             Err(status) => {
//!                 let code = status.metadata().get("session-error").and_then(|it| it.to_str().ok());
//!                 Err(match code.and_then(RejectionKind::from_code) {
//!                     Some(kind) => RefreshError::Refused(kind),
//!                     None => RefreshError::unavailable(status),
//!                 })
//!             }
//!         }
//!     })
//!     .build();
//! # drop(session);
//! ```
//!
//! # Where the token goes
//!
//! By default the layer adds the token to every request of the wrapped service. Around a client that
//! calls other servers as well, set
//! [`only_for`](crate::client::SessionClientBuilder::only_for). A request that has an `Authorization`
//! header passes untouched.
//!
//! # Where the tokens are kept
//!
//! In memory by default. A [`TokenStore`](crate::client::TokenStore) of your own keeps them in a file
//! or a keychain; its `update` is one atomic step.
