//! Authentication: verifies the presented token and inserts its session.

mod admission;
mod awaiting_keys;
mod future;
mod layer;
mod new_keys;
mod service;
mod settings;
mod several;
mod sign_out;

pub(crate) use self::awaiting_keys::AwaitingKeys;
pub use self::{future::ResponseFuture, layer::AuthenticateLayer, service::AuthenticateService};
