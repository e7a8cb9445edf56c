//! Migrating.
//!
//! # From tokens with a fixed `exp`
//!
//! This crate rejects a token without `sid` or `auth_time`: it cannot know which session it proves.
//! A deployment would sign out everybody who holds one.
//! [`LegacyTokens::adopt`](crate::token::LegacyTokens::adopt) accepts such tokens if your predicate
//! does. The same key may have signed tokens for something else, a password reset or an invitation,
//! so the predicate looks for a claim that only access tokens have.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use jsonwebtoken::{EncodingKey, Header, encode};
//! use serde::Deserialize;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     Clock, JwtKeys, Policy, Session, SlidingSessions, SystemClock, token::LegacyTokens,
//! };
//!
//! #[derive(Deserialize)]
//! struct Old { purpose: String }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let _ = jsonwebtoken::crypto::CryptoProvider::install_default(
//! #     &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER);
//! let secret = [7; 32];
//! let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, Policy::nist_aal2())
//!     .legacy_tokens(LegacyTokens::adopt(|claims| {
//!         claims.parse::<Old>().is_some_and(|old| old.purpose == "access")
//!     }))
//!     .build()?;
//! let service = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
//!     async |request: Request<()>| {
//!         let subject = request.extensions().get::<Session>().map(|it| it.subject().to_owned());
//!         Ok::<_, std::convert::Infallible>(Response::new(subject))
//!     },
//! ));
//!
//! let now = SystemClock.now().as_secs();
//! let old = serde_json::json!({ "sub": "ada", "iat": now, "exp": now + 600, "purpose": "access" });
//! let old = encode(&Header::default(), &old, &EncodingKey::from_secret(&secret))?;
//! let request = Request::get("/").header("authorization", format!("Bearer {old}")).body(())?;
//! assert_eq!(service.oneshot(request).await?.status(), StatusCode::OK);
//! # Ok(()) }
//! ```
//!
//! An adopted token's `sid` is a digest of what was signed, its `auth_time` its `iat`. Its first
//! renewal returns a token with all claims of a session. Take the setting out again once the last
//! old token has expired.
//!
//! An old token proves activity at its `iat` and no later. It is accepted until its `exp`, but no
//! longer than the policy's token lifetime after its `iat`, and no longer than the idle timeout
//! unless a request comes in between. If your old tokens are valid for a day, start with timeouts
//! of a day and shorten them once the old tokens have expired: a shorter policy reaches active
//! sessions.
//!
//! What a client has to learn: use `x-refreshed-token`. A client that ignores it is signed out at
//! the `exp` of the token it has, as before.
//!
//! # Rotating keys
//!
//! [`JwtKeys`](crate::JwtKeys) is a set: the newest key signs, every key of the set verifies. Share
//! it in an `Arc`, and a change reaches every layer at once.
//!
//! ```
//! use std::sync::Arc;
//! use tower_sliding_session::{
//!     JwtKeys, Policy, SlidingSessions, token::{Algorithm, SigningKey},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let old = SigningKey::hmac(Algorithm::HS256, [7; 32])?.kid("2026-10");
//! let new = SigningKey::hmac(Algorithm::HS256, [8; 32])?.kid("2026-11");
//! let keys = Arc::new(JwtKeys::new(old));
//! let sessions = SlidingSessions::builder(Arc::clone(&keys), Policy::nist_aal2()).build()?;
//!
//! keys.rotate(new)?;       // signs from now on; tokens of 2026-10 are still accepted
//! keys.remove("2026-10")?; // and now they are not
//! # drop(sessions);
//! # Ok(()) }
//! ```
//!
//! Wait between the two calls. Active users get a token of the new key at their next renewal; after
//! one token lifetime no access token of the old key is left. Refresh tokens are valid longer:
//! until the session's absolute deadline. With several nodes add the new key everywhere with
//! [`add`](crate::JwtKeys::add) before the first node signs with it.
//!
//! A set that began with one key without `kid` still accepts tokens without `kid` after
//! [`rotate`](crate::JwtKeys::rotate).
//!
//! # Tokens of an identity provider
//!
//! The keys of another issuer never go among your own: a renewal would sign its tokens for as long as
//! *your* policy says. [`sync_jwks`](crate::JwtKeys::sync_jwks) takes its JWK set, and
//! [`on_unknown_kid`](crate::JwtKeys::on_unknown_kid) fetches it again when a token names a new key.
//! Its tokens are verified with its keys only, found by `iss` and `kid`, and never renewed: they are
//! valid until their `exp`. [`add_issuer_key`](crate::JwtKeys::add_issuer_key) takes a key in PEM, and a
//! service that only accepts the tokens of others begins with
//! [`verify_only`](crate::JwtKeys::verify_only).
//!
//! Such tokens seldom have `sid` and `auth_time`: adopt them as above, and set the
//! [audience](crate::sessions::SlidingSessionsBuilder::audience) that they are issued for. Their
//! sessions, users and accounts are others than yours, whatever their names.
//!
//! # From a store in memory to a database
//!
//! Tokens stay valid: a session that the new store does not know is active if it may have been, and is
//! recorded from then on ([`UnknownSessions`](crate::layers::UnknownSessions)). Refresh tokens of
//! before are exchanged as well. What the memory knew of sign-outs is lost, as in a restart.
