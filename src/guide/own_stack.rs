//! Composing your own stack.
//!
//! [`SlidingSessions::layer`](crate::SlidingSessions::layer) is five layers in one service. Use the
//! single [`layers`](crate::layers) if you verify tokens yourself, or need only a part of the
//! stack. They exchange two values through the request's extensions:
//!
//! | value | inserted by | absent means |
//! |---|---|---|
//! | [`RequestClass`](crate::RequestClass) | `ClassifyLayer`, or your code | `User` |
//! | [`Session`](crate::Session) | `AuthenticateLayer`, or your code | not authenticated |
//!
//! From the outside in:
//!
//! | layer | without a `Session` |
//! |---|---|
//! | tracing, timeouts, `CorsLayer`, `CsrfLayer`: not of this crate | |
//! | [`ExposeHeadersLayer`](crate::layers::ExposeHeadersLayer) | works |
//! | [`ClassifyLayer`](crate::layers::ClassifyLayer) | works |
//! | [`AuthenticateLayer`](crate::layers::AuthenticateLayer), or your authentication | rejects; passes the request on if `optional` |
//! | [`ActivityLayer`](crate::layers::ActivityLayer) | passes the request on |
//! | [`RequireSessionLayer`](crate::layers::RequireSessionLayer) | rejects: `missing_token` |
//! | [`RequireRecentAuthLayer`](crate::layers::RequireRecentAuthLayer) | rejects: `missing_token` |
//! | [`RenewLayer`](crate::layers::RenewLayer) | passes the request on |
//!
//! Give all of them the same clock, profiles and store.
//!
//! # Your own authentication
//!
//! Verify the token, then build a [`Session`](crate::Session) from its claims. `sid` and
//! `auth_time` come from the verified token, never from elsewhere in the request. A renewal needs
//! the claims as JSON: its token is made from them.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     Clock, JwtKeys, Policy, Session, SystemClock, Timestamp,
//!     layers::{ActivityLayer, RenewLayer, RequireSessionLayer}, store::MemoryStore,
//! };
//!
//! /// Stands for your verification: the claims of a token with a good signature.
//! fn verified_claims(request: &Request<()>) -> Option<String> {
//!     request.headers().get("x-claims")?.to_str().ok().map(str::to_owned)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder().renew_always().build()?;
//! let service = ServiceBuilder::new()
//!     .map_request(|mut request: Request<()>| {
//!         let session = verified_claims(&request).and_then(|claims| {
//!             let read: serde_json::Value = serde_json::from_str(&claims).ok()?;
//!             let auth_time = read["auth_time"].as_u64()?;
//!             Session::builder(read["sub"].as_str()?)
//!                 .sid(read["sid"].as_str()?)
//!                 .auth_time(Timestamp::from_secs(auth_time))
//!                 .claims_json(claims)
//!                 .build()
//!                 .ok()
//!         });
//!         if let Some(session) = session {
//!             request.extensions_mut().insert(session);
//!         }
//!         request
//!     })
//!     .layer(RequireSessionLayer::new())
//!     .layer(ActivityLayer::new(policy.clone(), MemoryStore::new()))
//!     .layer(RenewLayer::new(JwtKeys::hs256([7; 32])?, policy))
//!     .service(service_fn(async |_: Request<()>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(()))
//!     }));
//!
//! let now = SystemClock.now().as_secs();
//! let claims = format!(
//!     r#"{{"sub":"ada","sid":"s1","auth_time":{now},"iat":{now},"exp":{}}}"#, now + 600,
//! );
//! let request = Request::get("/").header("x-claims", claims).body(())?;
//! let response = service.clone().oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert!(response.headers().contains_key("x-refreshed-token"));
//!
//! let response = service.oneshot(Request::get("/").body(())?).await?; // no session
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! # A token from elsewhere
//!
//! If only the place of the token is unusual, keep `AuthenticateLayer` and implement
//! [`Transport`](crate::transport::Transport), whose documentation has an example. Pass it to
//! [`transport`](crate::sessions::SlidingSessionsBuilder::transport), or to the layer's
//! [`transports`](crate::layers::AuthenticateLayer::transports).
//!
//! # A recent sign-in for some routes
//!
//! [`RequireRecentAuthLayer`](crate::layers::RequireRecentAuthLayer) goes inside the stack, around
//! the routes that need it (RFC 9470). After the user has proven again who they are, call
//! [`reauthenticate`](crate::SlidingSessions::reauthenticate): a new `sid`, a new `auth_time`.
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, Policy, SlidingSessions, layers::RequireRecentAuthLayer,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions =
//!     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2()).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(sessions.layer())
//!     .layer(RequireRecentAuthLayer::new(Duration::ZERO)) // rejects every sign-in
//!     .service(service_fn(async |_: Request<()>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(()))
//!     }));
//! let bearer = format!("Bearer {}", sessions.start("ada").await?.access_token());
//! let response =
//!     service.oneshot(Request::get("/").header("authorization", bearer).body(())?).await?;
//! let challenge = response.headers()["www-authenticate"].to_str()?;
//! assert!(challenge.contains("insufficient_user_authentication"));
//! # Ok(()) }
//! ```
