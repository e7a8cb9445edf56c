//! Activity: checks idle and absolute timeouts and revocation, and records activity.

mod check;
mod entry;
mod future;
mod layer;
mod service;
mod settings;

pub(crate) use self::{
    check::Check,
    entry::{PendingEntry, RoutePattern},
    future::Waiting,
};
pub use self::{future::ResponseFuture, layer::ActivityLayer, service::ActivityService};
pub use crate::session::OnStoreFailure;
