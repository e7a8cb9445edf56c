//! Testing with a clock that you move.
//!
//! All time comes from a [`Clock`](crate::Clock). In tests pass a
//! [`ManualClock`](crate::ManualClock): its time changes only when the test changes it, and its
//! timers fire when it reaches them. Clones share their time, so the test keeps one and the
//! sessions get the other. Nothing has to sleep.
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, Service, ServiceExt, service_fn};
//! use tower_sliding_session::{JwtKeys, ManualClock, Policy, SlidingSessions, Timestamp};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2())
//!     .clock(clock.clone())
//!     .build()?;
//! let mut app = sessions.layer().layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(()))
//! }));
//!
//! let grant = sessions.start("ada").await?;
//! let bearer = format!("Bearer {}", grant.access_token());
//! let request = || Request::get("/").header("authorization", &bearer).body(());
//!
//! clock.advance(Duration::from_millis(3_599_999)); // a millisecond before the idle deadline
//! assert_eq!(app.ready().await?.call(request()?).await?.status(), StatusCode::OK);
//! clock.advance(Duration::from_secs(3600)); // at the deadline
//! assert_eq!(app.ready().await?.call(request()?).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! # A handler alone
//!
//! A handler that takes a [`Session`](crate::Session) needs no stack in its test. Build the session
//! and insert it into the request, as a layer would:
//!
//! ```
//! use http::Request;
//! use serde::Deserialize;
//! use tower_sliding_session::{Session, Timestamp};
//!
//! #[derive(Deserialize)]
//! struct App { role: String }
//!
//! fn may_delete(request: &Request<()>) -> bool {
//!     let session = request.extensions().get::<Session>();
//!     session.and_then(|session| session.claims::<App>().ok()).is_some_and(|app| app.role == "admin")
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::builder("ada")
//!     .sid("s1")
//!     .auth_time(Timestamp::from_secs(1_800_000_000))
//!     .claims_json(r#"{"iat":1800000000,"exp":1800003600,"role":"admin"}"#)
//!     .build()?;
//! let request = Request::get("/").extension(session).body(())?;
//! assert!(may_delete(&request));
//! # Ok(()) }
//! ```
//!
//! # A store that fails
//!
//! [`MaybeReady`](crate::MaybeReady) makes a store of a few lines. This one never answers; the
//! request's time limit is 250 ms of the clock that the test moves.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, ManualClock, MaybeReady, Policy, SlidingSessions, Timestamp,
//!     identity::SessionKeys,
//!     store::{SessionStore, StoredSession, Tombstone, Touch, TouchOutcome},
//! };
//!
//! struct Silent;
//!
//! impl SessionStore for Silent {
//!     fn touch(&self, _: SessionKeys, _: Touch) -> MaybeReady<TouchOutcome> {
//!         MaybeReady::new(std::future::pending())
//!     }
//!     fn get(&self, _: SessionKeys) -> MaybeReady<StoredSession> {
//!         MaybeReady::new(std::future::pending())
//!     }
//!     fn write_tombstone(&self, _: Tombstone) -> MaybeReady<bool> {
//!         MaybeReady::ready(Ok(true))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
//! let keys = Arc::new(JwtKeys::hs256([7; 32])?);
//! let sessions = |builder: tower_sliding_session::sessions::SlidingSessionsBuilder| {
//!     builder.clock(clock.clone()).build()
//! };
//! let healthy = sessions(SlidingSessions::builder(Arc::clone(&keys), Policy::nist_aal2()))?;
//! let silent = sessions(
//!     SlidingSessions::builder(keys, Policy::nist_aal2()).store(Silent),
//! )?;
//!
//! let token = healthy.start("ada").await?.access_token().to_owned();
//! let app = silent.layer().layer(service_fn(async |_: Request<()>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(()))
//! }));
//! let request = Request::get("/").header("authorization", format!("Bearer {token}")).body(())?;
//! let response = tokio::spawn(app.oneshot(request));
//! tokio::task::yield_now().await; // the request waits for the store
//! clock.advance(Duration::from_millis(250));
//! assert_eq!(response.await??.status(), StatusCode::SERVICE_UNAVAILABLE);
//! # Ok(()) }
//! ```
