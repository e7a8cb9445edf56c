//! Extractors and responses for axum handlers (feature `axum`).
//!
//! [`Session`](crate::Session), `Option<Session>` and [`Claims`] are extractors.
//! [`Grant`](crate::Grant), [`StartError`](crate::lifecycle::StartError),
//! [`AccountPolicyError`](crate::lifecycle::AccountPolicyError) and
//! [`Rejection`](crate::Rejection) are responses; [`SetCookie`](crate::transport::SetCookie) adds
//! its headers to one. None of these responses may be stored by a cache.
//!
//! ```
//! use axum::{Router, extract::State, routing::post};
//! use tower_sliding_session::{Grant, Rejection, Session, SlidingSessions, lifecycle::StartError};
//!
//! async fn login(State(sessions): State<SlidingSessions>) -> Result<Grant, StartError> {
//!     // After the password or the passkey was checked.
//!     sessions.start("ada").await
//! }
//!
//! async fn logout(
//!     State(sessions): State<SlidingSessions>,
//!     session: Session,
//! ) -> Result<(), Rejection> {
//!     sessions.sign_out(&session).await
//! }
//!
//! # let _: Router<SlidingSessions> =
//! Router::new().route("/login", post(login)).route("/logout", post(logout));
//! ```

mod account_policy;
mod json;
mod problem;
mod response;
mod session;

pub use self::session::Claims;
#[cfg(feature = "axum-router")]
pub(crate) use self::{
    account_policy::{ABSOLUTE_TIMEOUT, IDLE_TIMEOUT, Minutes, whole_minutes},
    json::Json,
    problem::{AllowedRange, FieldError, Problem},
};
