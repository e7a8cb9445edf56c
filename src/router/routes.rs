//! The state of the routes.

use std::sync::Arc;

use axum_core::extract::FromRef;

use super::pending_bodies::PendingBodies;
use crate::sessions::SlidingSessions;

/// The sessions, and the bodies that the routes await.
#[derive(Clone)]
pub(super) struct Routes {
    pub(super) sessions: SlidingSessions,
    pub(super) pending_bodies: Arc<PendingBodies>,
}

impl Routes {
    pub(super) fn new(sessions: SlidingSessions) -> Self {
        Self { sessions, pending_bodies: Arc::default() }
    }
}

impl FromRef<Routes> for SlidingSessions {
    fn from_ref(routes: &Routes) -> Self {
        routes.sessions.clone()
    }
}
