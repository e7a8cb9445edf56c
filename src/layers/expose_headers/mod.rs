//! `Access-Control-Expose-Headers`: lets a browser's scripts read this crate's response headers.

mod exposed;
mod future;
mod layer;
mod service;

pub(crate) use self::exposed::{Exposed, always_exposed};
pub use self::{future::ResponseFuture, layer::ExposeHeadersLayer, service::ExposeHeadersService};
