//! Authentication: verifies the presented token and inserts its session.

mod admission;
mod future;
mod layer;
mod service;
mod settings;

pub use self::{future::ResponseFuture, layer::AuthenticateLayer, service::AuthenticateService};
