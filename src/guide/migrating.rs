//! Migrating.
//!
//! # From tokens with a fixed `exp`
//!
//! This crate rejects a token without `sid` or `auth_time`: it cannot know which session it proves.
//! A deployment would sign out everybody who holds one.
//! [`LegacyTokens::adopt`](crate::token::LegacyTokens::adopt) takes a function of all claims of such a
//! token, which returns the session that it becomes, or refuses it. The same key may have signed
//! tokens for something else, a password reset or an invitation, so the function looks for a claim
//! that only access tokens have.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use jsonwebtoken::{EncodingKey, Header, encode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     Clock, JwtKeys, Policy, Session, SlidingSessions, SystemClock,
//!     token::{AdoptedSession, LegacyTokens},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let _ = jsonwebtoken::crypto::CryptoProvider::install_default(
//! #     &jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER);
//! let secret = [7; 32];
//! let sessions = SlidingSessions::builder(JwtKeys::hs256(secret)?, Policy::nist_aal2())
//!     .legacy_tokens(LegacyTokens::adopt(|claims| {
//!         if claims.text("purpose")? != "access" {
//!             return None;
//!         }
//!         // A string, or a number as its digits.
//!         Some(AdoptedSession::new(claims.id("user_id")?))
//!     }))
//!     .build()?;
//! let service = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
//!     async |request: Request<()>| {
//!         let session = request.extensions().get::<Session>().expect("authenticated");
//!         assert_eq!(session.subject(), "7");
//!         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//!     },
//! ));
//!
//! let now = SystemClock.now().as_secs();
//! let old = serde_json::json!({ "user_id": 7, "iat": now, "exp": now + 600, "purpose": "access" });
//! let old = encode(&Header::default(), &old, &EncodingKey::from_secret(&secret))?;
//! let request = Request::get("/").header("authorization", format!("Bearer {old}")).body(())?;
//! assert_eq!(service.oneshot(request).await?.status(), StatusCode::OK);
//! # Ok(()) }
//! ```
//!
//! What the function returns is believed. Take the user, and a `sid` if you give one, from claims that
//! the earlier system set itself. Where a user can choose a claim (a nickname, an unverified address, a
//! device name), a `sub` made of it lets them be somebody else, and a `sid` made of it lets them end or
//! prolong the session of another. A `sid` is needed only where two tokens of one sign-in, an access
//! and a refresh token, are to be one session
//! ([`adopt_refresh`](crate::token::LegacyTokens::adopt_refresh)); by default it is a digest of what
//! was signed.
//!
//! | claim of the old token | what becomes of it |
//! |---|---|
//! | `sub` | replaced by what the function returns, or added |
//! | `sid`, `auth_time` | kept if the function returns none and they are valid; `auth_time` is at most `iat` |
//! | `iat` | needed unless there is an `auth_time`, of the token or of the function |
//! | `exp` | needed; the token is accepted until then |
//! | `nbf`, `iss`, `aud` | checked as in any token; `null` counts as absent |
//! | `jti`, `tenant` | a number becomes a string, any other type is left out |
//! | `session_profile`, `idle_max`, `abs_max`, `epoch`, `seen`, `refresh_gen` | left out: these names belong to this crate |
//! | every other | kept as it is written, in its order |
//!
//! A claim that occurs twice, or a time that is negative or text, makes the token invalid. Handlers see
//! the new form from the first request on: their `sub` is a string, whatever it was.
//!
//! An old token is accepted until its own `exp`, however old it is, so the deployment signs nobody out.
//! Its first request as a user begins the session here: it is listed, counted and ended like others,
//! and the idle timeout applies from then on. A renewal, due as for a token with the lifetime of the
//! policy, replaces it with a token of this crate.
//!
//! That token has the absolute timeout of the policy, counted from the sign-in. An old token that is
//! older than that cannot have a successor: its user signs in again when it expires. An old refresh
//! token that is older than that is refused as `session_expired_absolute`. If your old tokens are
//! valid for 30 days, begin with an absolute timeout of 30 days and shorten it later: a shorter policy
//! reaches active sessions.
//!
//! Take the setting out again once the last old token has expired. While it is there, revocations of
//! all sessions of a user are kept for 10 years, because an old token may be valid that long; no old
//! token is accepted for longer after its sign-in. A memory store forgets them, and what it knows of
//! sign-outs, in a restart, as always.
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
