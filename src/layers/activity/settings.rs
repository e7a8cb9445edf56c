//! The settings of the activity layer.

use std::sync::Arc;

use super::entry::RoutePattern;
use crate::{rejection::MakeRejection, session::Enforcement, store::SessionStore};

#[derive(Clone)]
pub(crate) struct ActivitySettings {
    pub(super) enforcement: Arc<Enforcement>,
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) rejections: Option<Arc<dyn MakeRejection>>,
    pub(super) logs_activity: bool,
    pub(super) route_pattern: Option<Arc<RoutePattern>>,
}
