//! A session's life around its requests: how it starts, and how it is ended.

mod grant;
mod start;

use std::sync::Arc;

pub use self::{
    grant::Grant,
    start::{Start, StartError},
};
use crate::{
    clock::Clock,
    rejection::{Rejection, RejectionKind},
    rules::Profiles,
    store::{Key, LIFECYCLE_TIME_LIMIT, SessionStore, within},
    token::TokenVerifier,
};

/// What the lifecycle works with.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    pub(crate) verifier: TokenVerifier,
    pub(crate) profiles: Arc<Profiles>,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Lifecycle {
    /// Ends the session `sid`, whether or not it is known.
    pub(crate) async fn end(&self, sid: &str) -> Result<(), Rejection> {
        let key = Key::session(self.verifier.iss(), sid);
        let longest = self.profiles.longest_absolute_timeout();
        let skew = self.profiles.widest_clock_skew();
        let until = self.clock.now() + longest + skew;
        let written = self.store.end(key, until);
        within(written, &*self.clock, LIFECYCLE_TIME_LIMIT).await.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a session could not be ended"
            );
            RejectionKind::StoreUnavailable.into()
        })
    }
}
