//! Step-up authentication (RFC 9470): requires a recent sign-in.

mod layer;
mod service;

pub use self::{layer::RequireRecentAuthLayer, service::RequireRecentAuthService};
