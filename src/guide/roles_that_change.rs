//! Roles that change.
//!
//! A token carries the claims of the app, such as a role, so that a handler needs no look-up. A role
//! that is taken away is still in every token that was minted before. Two things make the change
//! effective at the next request:
//!
//! 1. A [`ClaimsSource`](crate::token::ClaimsSource), which returns the current claims of a user from
//!    your tables.
//! 2. [`claims_changed`](crate::SlidingSessions::claims_changed) after each write to those tables, with
//!    the scope that the change is about: a user, a subject in all accounts, an account, or everybody.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use http::{Request, Response};
//! use serde_json::{Value, json};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_sliding_session::{
//!     JwtKeys, MaybeReady, Policy, Session, SlidingSessions,
//!     store::StoreError, token::{ClaimsSource, ClaimsUpdate, VerifiedToken},
//! };
//!
//! // Your table; here a role for everybody.
//! #[derive(Clone)]
//! struct Roles(Arc<Mutex<&'static str>>);
//!
//! impl ClaimsSource for Roles {
//!     fn current_claims(&self, _: &VerifiedToken) -> MaybeReady<ClaimsUpdate> {
//!         let role = *self.0.lock().expect("not poisoned");
//!         let claims = ClaimsUpdate::replace(&json!({ "role": role }));
//!         MaybeReady::ready(claims.map_err(StoreError::new))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let roles = Roles(Arc::new(Mutex::new("admin")));
//! let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, Policy::nist_aal2())
//!     .claims_source(roles.clone())
//!     .build()?;
//! let service = sessions.layer().layer(service_fn(async |request: Request<()>| {
//!     let session = request.extensions().get::<Session>().expect("authenticated");
//!     let claims: Value = session.claims().expect("an object");
//!     Ok::<_, std::convert::Infallible>(Response::new(claims["role"].to_string()))
//! }));
//! // The sign-in gives no claims, so it asks the source.
//! let bearer = format!("Bearer {}", sessions.start("ada").await?.access_token());
//!
//! *roles.0.lock().expect("not poisoned") = "reader"; // first the table
//! sessions.claims_changed(sessions.user_scope(None, "ada")).await?; // then the tokens
//!
//! let response =
//!     service.oneshot(Request::get("/").header("authorization", bearer).body(())?).await?;
//! // The handler has seen "reader", and the response carries the token that says so.
//! assert!(response.headers().contains_key("x-refreshed-token"));
//! # Ok(()) }
//! ```
//!
//! # What happens
//!
//! The store gives the scope a number, greater than every number before. A token carries the number of
//! the last change that its claims contain (`claims_at`; none by default). A request whose token has a
//! smaller number waits for the source, after the session is checked and before the handler runs,
//! whatever its class; `Public` requests and sign-outs do not. The handler's
//! [`Session`](crate::Session) has the new claims. The response carries the successor, a failed one too,
//! where [a response may carry a token](super::session_life); otherwise the next one does. Refreshes,
//! renewals, sign-ins without claims and step-ups ask the source in any case.
//!
//! | the source | a request | a refresh |
//! |---|---|---|
//! | replaces or keeps the claims | goes on with them | both tokens have them |
//! | [denies](crate::token::ClaimsUpdate::Deny) the user | 403 `access_denied` | `invalid_refresh_token`, and the token is consumed |
//! | [ends](crate::token::ClaimsUpdate::End) the session | 401 `session_revoked` | `invalid_refresh_token` |
//! | fails, panics, or takes longer than its [time limit](crate::token::ClaimsSource::time_limit) (1 s) | 503 `store_unavailable`, never the old role | 503 `store_unavailable` |
//!
//! Of each session and change a node asks once, however many requests wait, and keeps the answer: to
//! let a denied user in again, call `claims_changed` again. At most 64 questions run at a time, four of
//! one user. After a change of an account, the next request of each of its sessions asks: the source
//! must bear that.
//!
//! # When it is effective
//!
//! On the node of the call once it has returned, whatever is in flight: a token that is being minted
//! from what the source said before has a smaller number. On other nodes once they have read the
//! change, within `sync_interval` of the store. An SQL store keeps the number over restarts, the
//! memory store does not. It is removed when every older token has expired: the longest token
//! lifetime, or the longest session where tokens of other systems are accepted.
//!
//! - **Write first, call second.** A source that reads a replica may read the old role after the call.
//! - If the call fails, repeat it: until it succeeds, tokens keep their claims.
//! - Without a claims source it is an error: nothing could return the new claims.
//! - Claims that a sign-in [gives](crate::lifecycle::Start::claims) have no number: after a change the
//!   first request asks the source.
//! - Tokens of other issuers get the claims in the `Session` only, at each request.
//! - A handler that already runs keeps the `Session` that it has.
//! - It is not a revocation: to end the sessions of a scope call
//!   [`revoke_all`](crate::SlidingSessions::revoke_all).
//!
//! With single layers, give the source to
//! [`ActivityLayer`](crate::layers::ActivityLayer::claims_source), which asks before the handler, and to
//! [`RenewLayer`](crate::layers::RenewLayer::claims_source), which asks at renewals and delivers the
//! successors of both.
//!
//! # What it costs
//!
//! Where no scope has a number, or none is greater than the token's, one atomic load. Where another
//! scope has one, up to four look-ups in a table.
