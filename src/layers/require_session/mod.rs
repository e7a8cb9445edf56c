//! Rejects requests without a session: for stacks composed of single layers.

mod layer;
mod service;

pub use self::{layer::RequireSessionLayer, service::RequireSessionService};
