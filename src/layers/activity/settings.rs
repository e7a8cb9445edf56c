//! The settings of the activity layer.

use std::sync::Arc;

use super::entry::RoutePattern;
use crate::{rejection::MakeRejection, session::Enforcement, store::SessionStore};

#[derive(Clone)]
pub(crate) struct ActivitySettings {
    pub(super) enforcement: Arc<Enforcement>,
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) on_failure: OnStoreFailure,
    pub(super) rejections: Option<Arc<dyn MakeRejection>>,
    pub(super) logs_activity: bool,
    pub(super) route_pattern: Option<Arc<RoutePattern>>,
}

/// What happens to requests while the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// They are rejected as `store_unavailable`, a 503: an outage signs nobody out. The default.
    #[default]
    Reject,
    /// The token is accepted until its `exp`, and not renewed.
    TrustToken,
}
