//! The client's contract.
//!
//! # What a client sends
//!
//! | header | value |
//! |---|---|
//! | `Authorization` | `Bearer <access token>` (RFC 6750) |
//! | `Session-Activity` | `background` on requests that no user has caused: polling, prefetching; where the service counts declared activity only, `user` on those that the user has caused |
//!
//! With a cookie the browser sends the token itself: see [`cookies_and_cors`](super::cookies_and_cors).
//!
//! # What a client reads
//!
//! Sign-in and refresh return a [`Grant`](crate::Grant) (RFC 6749 section 5.1). Deadlines are in
//! RFC 3339, and in seconds from now for a client whose clock is wrong:
//!
//! ```
//! # use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::long_lived())
//!     .refresh_tokens()
//!     .build()?;
//! let grant = serde_json::to_value(sessions.start("ada").await?)?;
//! for member in [
//!     "access_token", "token_type", "expires_in", "refresh_token", "session_id",
//!     "idle_expires_in", "idle_expires_at", "absolute_expires_in", "absolute_expires_at",
//! ] {
//!     assert!(grant.get(member).is_some(), "{member}");
//! }
//! # Ok(()) }
//! ```
//!
//! | response header | meaning |
//! |---|---|
//! | `x-refreshed-token` | the access token to use from now on (the name is a setting) |
//! | `Session-Expires` | `idle=1140, absolute=42000, renewable`: seconds from now (RFC 9651); off by default |
//! | `WWW-Authenticate` | the challenge of a 401 (RFC 6750, RFC 9470) |
//! | `Retry-After` | seconds to wait after a 503: 1 to 3 at random, so that clients do not come back all at once |
//! | `session-error` | the code of a rejection; what a handler forwards from another service is removed from the response to an authenticated request |
//!
//! The ready-made route `GET /session` (feature `axum-router`) says whether the session goes on: its
//! `session_id` and both deadlines, or a 401 with the code. It is no activity, so a client may ask at
//! any time. With `Session-Activity: user` it is what a button "stay signed in" sends: it counts as
//! activity, and may renew the token. A page whose token is in a cookie learns its deadlines there.
//!
//! Parallel requests may return out of order. Of two tokens with the same `sid` the one with the
//! later `iat` is the newer; of the same second, the one with the greater `claims_at` (absent: 0), then
//! the one with the later `exp`, then the one in the response to a request with the other: a handler may
//! replace claims in the second of the sign-in. A token of another `sid` belongs to another sign-in. A
//! successor does not invalidate its predecessor: both are good until their own `exp`.
//!
//! # What a client does with each code
//!
//! Over HTTP a rejection is `application/problem+json` (RFC 9457) with the member `code`:
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use http_body_util::BodyExt;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! # use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let sessions =
//! #     SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::builder().build()?).build()?;
//! let service = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
//!     async |_: Request<()>| Ok::<_, std::convert::Infallible>(Response::new(String::new())),
//! ));
//! let response = service.oneshot(Request::get("/").body(())?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! assert_eq!(response.headers()["www-authenticate"], "Bearer");
//! assert_eq!(response.headers()["cache-control"], "no-store");
//! let body = response.into_body().collect().await?.to_bytes();
//! let problem: serde_json::Value = serde_json::from_slice(&body)?;
//! assert_eq!(problem["code"], "missing_token");
//! # Ok(()) }
//! ```
//!
//! | code | status | the client |
//! |---|---|---|
//! | `token_expired` | 401 | exchanges the refresh token, repeats the request; without one signs in |
//! | `session_expired_idle`, `session_expired_absolute` | 401 | deletes its tokens, says that the session expired, signs in |
//! | `session_revoked` | 401 | deletes its tokens, signs in |
//! | `missing_token`, `invalid_token` | 401 | deletes its tokens, signs in |
//! | `invalid_refresh_token`, `refresh_token_reused` | 401 | deletes its tokens, signs in |
//! | `recent_authentication_required` | 401 | asks for the password or passkey again, keeps its tokens until then; `max_age` in the challenge is in seconds (RFC 9470) |
//! | `access_denied` | 403 | keeps its tokens, says that the user may no longer do this: see [roles that change](super::roles_that_change) |
//! | `store_unavailable` | 503 | keeps its tokens, repeats the request after `Retry-After` |
//!
//! A sign-in handler that returns `Result<Grant, StartError>` answers 503 `store_unavailable` if the
//! store does not answer, 403 `access_denied` if the claims source denies the user, and
//! 500 `internal_error` for a mistake in the app.
//!
//! Codes are stable; titles are for people and may change. A client that meets a code it does not
//! know goes by the status. In Rust:
//!
//! ```
//! use tower_sliding_session::RejectionKind;
//!
//! #[derive(Debug, PartialEq)]
//! enum Next { Refresh, SignIn, StepUp, Retry }
//!
//! fn next(status: u16, code: &str) -> Next {
//!     match RejectionKind::from_code(code) {
//!         Some(RejectionKind::TokenExpired) => Next::Refresh,
//!         Some(RejectionKind::RecentAuthenticationRequired) => Next::StepUp,
//!         _ if status == 503 => Next::Retry,
//!         _ => Next::SignIn,
//!     }
//! }
//!
//! assert_eq!(next(401, "token_expired"), Next::Refresh);
//! assert_eq!(next(401, "session_revoked"), Next::SignIn);
//! assert_eq!(next(503, "store_unavailable"), Next::Retry);
//! ```
//!
//! # Refresh tokens
//!
//! A refresh token is good for one exchange. The answer has a new access token and a new refresh
//! token; the client stores both before it uses either. If the answer was lost, the client sends the
//! same refresh token again and gets the same successors, within `reuse_grace` (10 s by default) and
//! later as long as neither of them was presented. A used refresh token whose successor is in use
//! revokes its session, for somebody else may have a copy (RFC 9700 section 4.14.2). So a client with several tabs or threads refreshes in one of
//! them, and after a 503 it repeats the refresh: the exchange may have happened.
