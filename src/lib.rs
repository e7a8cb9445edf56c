//! Sliding sessions over JWTs, as composable Tower layers for Axum, Tonic and Hyper.
//!
//! A service gives its users signed tokens. A short, fixed `exp` signs out users who are working; a
//! long one keeps stolen and forgotten tokens valid. A *sliding session* renews the token while its
//! user is active, expires after a time without activity, and expires at a fixed maximum in any
//! case.
//!
//! # One stack
//!
//! ```
//! use std::time::Duration;
//! use axum::{Router, extract::State, routing::{get, post}};
//! use tower_sliding_session::{
//!     Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, StartError,
//!     request_class::subtree,
//! };
//!
//! async fn login(State(sessions): State<SlidingSessions>) -> Result<Grant, StartError> {
//!     // Check a password or a passkey here.
//!     sessions.start("ada").await
//! }
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let policy = Policy::builder()
//!     .idle_timeout(Duration::from_secs(20 * 60))
//!     .absolute_timeout(Duration::from_secs(12 * 3600))
//!     .token_lifetime(Duration::from_secs(3600))
//!     .build()?;
//!
//! let secret = std::env::var("SESSION_SECRET").unwrap_or_else(|_| "7".repeat(32));
//! let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
//!     .path_rules(PathRules::new().public("/login").background(subtree("/poll")))
//!     .build()?;
//!
//! let app = Router::new()
//!     .route("/login", post(login))
//!     .route("/me", get(async |session: Session| session.subject().to_owned()))
//!     .layer(sessions.layer())
//!     .with_state(sessions);
//! # Ok(app) }
//! # app().expect("the settings are valid");
//! ```
//!
//! `/login` responds with a [`Grant`] as JSON. `/me` needs its access token as `Authorization:
//! Bearer ..`. As soon as less than half of the token's lifetime is left, a response carries the
//! renewed token in the header `x-refreshed-token`, and the client uses that one from then on. A
//! request without a valid token is rejected with a 401 and a [code](RejectionKind::code) on which
//! the client can act; over gRPC with the status `UNAUTHENTICATED`.
//!
//! # Order of layers
//!
//! Outside the stack: tracing, timeouts, a `CorsLayer` (without it browsers cannot read the
//! rejections), and a `CsrfLayer` if a cookie carries the token. Inside: the routes.
//! `Router::layer` also wraps the fallback, so a request for an unknown route is answered with 401
//! if it has no token; `Router::route_layer` keeps the 404.
//!
//! The stack itself is, from the outside in: [`ExposeHeadersLayer`](layers::ExposeHeadersLayer),
//! [`ClassifyLayer`](layers::ClassifyLayer), [`AuthenticateLayer`](layers::AuthenticateLayer),
//! [`ActivityLayer`](layers::ActivityLayer), [`RenewLayer`](layers::RenewLayer). Each layer can be
//! used alone; they communicate through request extensions only.
//!
//! # Activity
//!
//! Every authenticated request counts as activity, except a [`Background`](RequestClass::Background)
//! request, which neither counts nor renews the token. A pattern of [`PathRules`], your own
//! [`Classify`](request_class::Classify), or the client's header `Session-Activity: background`
//! makes a request `Background`. With [`Activity::Declared`](request_class::Activity) only
//! `Session-Activity: user` or a path rule makes a request `User`. A [`Public`](RequestClass::Public) request is not authenticated.
//!
//! # Current claims
//!
//! A renewal copies the application's claims, unless a [`ClaimsSource`](token::ClaimsSource)
//! returns the current ones. Set one: otherwise a user who loses a role keeps it in the token until
//! the absolute timeout. [`claims_changed`](SlidingSessions::claims_changed) makes a change effective at
//! once: the next request of each session in question gets the new claims before its handler runs, and
//! its response carries the token that has them. The guide's chapter `roles_that_change` has an example.
//!
//! # Sign-in, refresh, revocation
//!
//! Refresh tokens are off by default;
//! [`refresh_tokens`](sessions::SlidingSessionsBuilder::refresh_tokens) switches them on. A refresh
//! token can be exchanged once. If it is presented again, the session is revoked, unless the client
//! may have lost the first response. Sessions can be listed and revoked, one by one or all of a
//! scope, and the owner of an account can choose timeouts within your bounds:
//!
//! ```
//! use std::time::Duration;
//! use tower_sliding_session::{
//!     JwtKeys, Policy, SlidingSessions, policy::TimeoutOverrides, store::{Exempt, ListQuery},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
//!     .refresh_tokens()
//!     .build()?;
//! let grant = sessions.start("ada").tenant("acme").await?;
//! let grant = sessions.refresh(grant.refresh_token().unwrap_or_default()).await?;
//!
//! let acme = sessions.account_scope("acme");
//! let page = sessions.sessions(acme, ListQuery::first(20)).await?;
//! assert_eq!(page.items[0].sid, grant.session_id());
//!
//! let one_hour = TimeoutOverrides::new().idle(Duration::from_secs(3600));
//! sessions.change_account_policy("acme", |_| one_hour).await?;
//! assert_eq!(sessions.revoke_all(acme, Exempt::None).await?, 1);
//! assert!(sessions.refresh(grant.refresh_token().unwrap_or_default()).await.is_err());
//! # Ok(()) }
//! ```
//!
//! Each of these steps is recorded as an [`AuditEvent`](audit::AuditEvent), which reaches every
//! [`AuditSink`](audit::AuditSink). No request waits for a sink.
//!
//! # Streams and sockets
//!
//! A response that is still sent ends with its session: gRPC with `UNAUTHENTICATED` in the trailers,
//! server-sent events with a last event, anything else with an error. Sockets and tasks wait for
//! [`Session::ended`]; [`Session::touch`] and
//! [`StreamActivityLayer`](layers::StreamActivityLayer) say what of a stream is activity.
//!
//! # A custom stack
//!
//! An application that verifies its tokens itself inserts a [`Session`] and uses the other layers:
//!
//! ```
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     Clock, JwtKeys, Policy, Session, SystemClock,
//!     layers::{ActivityLayer, RenewLayer}, store::MemoryStore,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder().renew_always().build()?;
//! let keys = JwtKeys::hs256([7; 32])?;
//! let service = ServiceBuilder::new()
//!     .map_request(|mut request: Request<()>| {
//!         // Your own code verifies a token here and reads these claims from it.
//!         let now = SystemClock.now();
//!         let (iat, exp) = (now.as_secs(), now.as_secs() + 600);
//!         let session = Session::builder("ada")
//!             .sid("s1")
//!             .auth_time(now)
//!             .claims_json(format!(r#"{{"sub":"ada","sid":"s1","iat":{iat},"exp":{exp}}}"#))
//!             .build();
//!         if let Ok(session) = session {
//!             request.extensions_mut().insert(session);
//!         }
//!         request
//!     })
//!     .layer(ActivityLayer::new(policy.clone(), MemoryStore::new()))
//!     .layer(RenewLayer::new(keys, policy))
//!     .service(service_fn(async |_: Request<()>| {
//!         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//!     }));
//! let response = service.oneshot(Request::get("/").body(())?).await?;
//! assert!(response.headers().contains_key("x-refreshed-token"));
//! # Ok(()) }
//! ```
//!
//! # Clients
//!
//! A client in Rust needs none of this by hand: the layer of `client::SessionClient` (feature
//! `client`) presents the token, takes the renewed one, refreshes an expired one once for all waiting
//! requests and sends them again, and tells the application why a session has ended.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `axum` | yes | the extractors [`Session`], `Option<Session>` and `Claims<T>`; [`Grant`] and errors as responses; needs axum-core only |
//! | `axum-router` | no | ready-made routes: `SlidingSessions::router` |
//! | `client` | no | a layer for clients: `client::SessionClient` |
//! | `rust_crypto` | yes | ES256/384, `EdDSA`, and verification of RS256/PS256, in pure Rust |
//! | `aws_lc_rs` | no | the same algorithms, four to nine times faster, and RSA signing; needs a C compiler |
//! | `sqlite` | no | `store::SqlStore` in a SQLite file; needs a C compiler and Rust 1.94 |
//! | `postgres` | no | `store::SqlStore` in Postgres, over TLS; needs Rust 1.94 |
//! | `redis` | no | `store::RedisStore` and `RedisLimiter`: sessions, and one limit of renewals, for all nodes |
//! | `metrics` | no | `metrics`: counters, gauges and histograms through the facade of that name |
//! | `conformance` | no | `store::conformance`: the tests that every store passes, for your own |
//!
//! HS256/384/512 need none of them. Features only add API; if both `rust_crypto` and `aws_lc_rs`
//! are on, `aws_lc_rs` is used.
//!
//! # Limits
//!
//! This crate checks no passwords and stores no users. A [`MemoryStore`](store::MemoryStore) loses
//! revocations and activity at a restart. A bearer token is valid for whoever has it, until it
//! expires or its session is revoked.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
pub mod body;
pub mod client;
pub mod clock;
#[cfg(feature = "axum")]
pub mod extract;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod identity;
mod jitter;
pub mod layers;
pub mod lifecycle;
mod maybe_ready;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
#[allow(dead_code, unreachable_pub, reason = "the names, and what only some features record")]
mod metrics;
pub mod policy;
mod ready_service;
pub mod rejection;
pub mod request_class;
#[cfg(feature = "axum-router")]
mod router;
mod rules;
mod session;
pub mod sessions;
pub mod store;
mod time;
pub mod token;
pub mod transport;

#[cfg(feature = "axum")]
pub use self::extract::Claims;
pub use self::{
    body::SessionBody,
    clock::{Clock, ManualClock, SystemClock},
    lifecycle::{Grant, StartError},
    maybe_ready::MaybeReady,
    policy::{Policy, Profiles},
    rejection::{Rejection, RejectionKind},
    request_class::{PathRules, RequestClass},
    rules::{Deadlines, ExpiryReason, SessionClaims},
    session::{Session, SessionBuilder, SessionEnded, SessionEvent, SessionWatch},
    sessions::SlidingSessions,
    time::{InvalidTimestamp, Timestamp},
    token::JwtKeys,
    transport::SessionCookie,
};

/// Compiles the README's snippet.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
