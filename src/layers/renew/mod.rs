//! Renewal: puts the successor of the presented token on the response.

mod context;
mod future;
mod layer;
mod pending;
mod permit;
mod service;
mod session_expires;
mod settings;
mod shared_cache;

pub(crate) use self::{
    context::RenewalContext,
    future::{BoxedAwaitingToken, awaiting_token},
};
pub use self::{future::ResponseFuture, layer::RenewLayer, service::RenewService};
