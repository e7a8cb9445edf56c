//! Authentication: verifies the presented token and inserts its session.

mod admission;
mod future;
mod layer;
mod service;
mod settings;
mod several;
mod sign_out;

pub use self::{future::ResponseFuture, layer::AuthenticateLayer, service::AuthenticateService};
