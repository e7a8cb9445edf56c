//! Counts what a client sends on a stream as activity, and ends the stream with its session.

mod body;
mod future;
mod layer;
mod service;
mod settings;

pub use self::{
    body::ActivityBody, future::ResponseFuture, layer::StreamActivityLayer,
    service::StreamActivityService,
};
