//! Path rules and other classifiers: which requests count as activity.

mod layer;
mod service;

pub(crate) use self::layer::assign;
pub use self::{layer::ClassifyLayer, service::ClassifyService};
