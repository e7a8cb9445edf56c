//! Sliding sessions over JWTs, as composable Tower layers for Axum, Tonic and Hyper.
//!
//! A service hands its users signed tokens. A fixed `exp` signs active people out in the middle of
//! their work; a long `exp` leaves stolen and forgotten tokens alive. A *sliding session* replaces
//! the token quietly while its user is active, ends after a time without activity, and at a hard
//! cap whatever happens.
//!
//! # One stack
//!
//! ```
//! use std::time::Duration;
//! use axum::{Json, Router, routing::{get, post}};
//! use tower_sliding_session::{
//!     Grant, JwtKeys, PathRules, Policy, Session, SlidingSessions, request_class::subtree,
//! };
//!
//! # fn app() -> Result<Router, Box<dyn std::error::Error>> {
//! let policy = Policy::builder()
//!     .idle_timeout(Duration::from_secs(20 * 60))
//!     .absolute_timeout(Duration::from_secs(12 * 3600))
//!     .token_lifetime(Duration::from_secs(3600))
//!     .renew_threshold(0.5)
//!     .renew_min_interval(Duration::from_secs(60))
//!     .build()?;
//!
//! let secret = std::env::var("SESSION_SECRET").unwrap_or_else(|_| "7".repeat(32));
//! let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, policy)
//!     .path_rules(PathRules::new().public("/login").background(subtree("/poll")))
//!     .build()?;
//!
//! let sign_in = sessions.clone();
//! let app = Router::new()
//!     .route("/login", post(async move || {
//!         // After the password or the passkey was checked.
//!         sign_in.start("ada").await.map(Json::<Grant>).map_err(|error| error.to_string())
//!     }))
//!     .route("/me", get(async |session: Session| session.subject().to_owned()))
//!     .layer(sessions.layer());
//! # Ok(app) }
//! # app().expect("the stack of the node_cache page builds");
//! ```
//!
//! `/login` returns a [`Grant`]. `/me` needs its token as `Authorization: Bearer ..`; once less
//! than half of the token's life is left, the response carries its successor in
//! `x-refreshed-token`, and the client goes on with that one. Without a good token the answer is a
//! 401 with a [code](RejectionKind::code) that says what to do; over gRPC it is a real status.
//!
//! # The order of layers
//!
//! Outside this crate's stack: tracing, timeouts, a `CorsLayer` (or browsers cannot read the
//! rejections), a `CsrfLayer` where a cookie carries the token. Inside it: your routes.
//! `Router::layer` wraps the fallback too, so that strangers get a 401 where a route is missing;
//! use `Router::route_layer` to keep their 404.
//!
//! From the outside in, the stack itself is [`ExposeHeadersLayer`](layers::ExposeHeadersLayer),
//! [`ClassifyLayer`](layers::ClassifyLayer), [`AuthenticateLayer`](layers::AuthenticateLayer),
//! [`ActivityLayer`](layers::ActivityLayer), [`RenewLayer`](layers::RenewLayer). Each of them is
//! usable alone; they meet through the request's extensions only.
//!
//! # What counts as activity
//!
//! Every authenticated request, unless you say otherwise: a [`PathRules`] pattern, a
//! [`Classify`](request_class::Classify) of your own, or the client's header `Session-Activity:
//! background` make it [`Background`](RequestClass::Background), which is authenticated and
//! neither counts nor renews. [`Public`](RequestClass::Public) requests are not looked at.
//!
//! # Who the user is today
//!
//! A renewal copies the app's claims unless a [`ClaimsSource`](token::ClaimsSource) tells what
//! they are by now. Set one: a demoted admin should not keep the role until the absolute deadline.
//!
//! # From sign-in to sign-out
//!
//! Refresh tokens are off until [`refresh_tokens`](sliding::SlidingSessionsBuilder::refresh_tokens)
//! turns them on. Each is good for one exchange; presented again, its session is revoked, unless
//! the client just lost the answer. Sessions are listed, ended one by one or all at once, and an
//! account's owner may choose timeouts within your bounds:
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
//! What happens is noted as [`AuditEvent`](lifecycle::AuditEvent)s, in the store's log or wherever
//! your [`AuditSink`](lifecycle::AuditSink) keeps them; no request waits for it.
//!
//! # A stack of your own
//!
//! A team that verifies tokens itself inserts a [`Session`] and keeps every later layer:
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
//!         // Here your own code has verified a token, and found these claims in it.
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
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `axum` | yes | extractors: [`Session`], `Option<Session>`, `Claims<T>`; ready-made [routes](SlidingSessions::router) |
//! | `rust_crypto` | yes | ES256/384, `EdDSA`, and RS256/PS256 verification, in pure Rust |
//! | `aws_lc_rs` | no | the same four to nine times faster, and RSA signing; needs a C compiler |
//! | `sqlite` | no | `store::SqlStore` in a SQLite file; needs a C compiler and Rust 1.94 |
//! | `postgres` | no | `store::SqlStore` in Postgres, over TLS; needs Rust 1.94 |
//!
//! HS256/384/512 work without any of them. Features only add: with both backends on,
//! `aws_lc_rs` is used.
//!
//! # What it does not do
//!
//! It checks no passwords and stores no users. A [`MemoryStore`](store::MemoryStore) forgets at a
//! restart who signed out; a bearer token is good for whoever holds it, until it ends.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod audit;
pub mod body;
pub mod clock;
#[cfg(feature = "axum")]
pub mod extract;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod identity;
pub mod layers;
pub mod lifecycle;
mod maybe_ready;
pub mod policy;
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
    lifecycle::Grant,
    maybe_ready::MaybeReady,
    policy::{Policy, Profiles},
    rejection::{Rejection, RejectionKind},
    request_class::{PathRules, RequestClass},
    rules::{Deadlines, ExpiryReason, SessionClaims},
    session::{Session, SessionBuilder},
    sessions::SlidingSessions,
    time::{InvalidTimestamp, Timestamp},
    token::JwtKeys,
    transport::SessionCookie,
};

/// Compiles the README's snippet.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
