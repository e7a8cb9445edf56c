//! Authentication: verifies the presented token and inserts its session.

mod admission;
mod dismissal;
mod future;
mod layer;
mod new_keys;
mod service;
mod settings;
mod several;
mod sign_out;
mod ticket;
mod waiting;

pub(crate) use self::waiting::Waiting;
pub use self::{future::ResponseFuture, layer::AuthenticateLayer, service::AuthenticateService};
