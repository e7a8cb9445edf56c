//! Sliding sessions over JWTs, as composable Tower layers.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod body;
pub mod clock;
#[cfg(feature = "axum")]
pub mod extract;
pub mod layers;
pub mod lifecycle;
pub mod rejection;
pub mod request_class;
pub mod rules;
mod session;
pub mod sliding;
pub mod store;
pub mod token;
pub mod transport;

#[cfg(feature = "axum")]
pub use self::extract::Claims;
pub use self::{
    body::SessionBody,
    clock::{Clock, ManualClock, SystemClock},
    lifecycle::Grant,
    rejection::{Rejection, RejectionKind},
    request_class::{PathRules, RequestClass},
    rules::{Policy, Profiles, Timestamp},
    session::{Session, SessionBuilder},
    sliding::SlidingSessions,
    token::JwtKeys,
    transport::SessionCookie,
};
