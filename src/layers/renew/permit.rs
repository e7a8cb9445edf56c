//! The permit of a renewal limiter, released when the renewal fails or is cancelled.

use std::{sync::Arc, time::Duration};

use crate::store::{RenewalLimiter, RenewalRequest};

/// How long a failed mint delays the next one of its session and user, at most.
const AFTER_A_FAILURE: Duration = Duration::from_secs(1);

/// The permit of the limiter. Dropped before it is settled, since the request was cancelled, it
/// releases the limiter at once.
pub(super) struct Permit {
    held: Option<(Arc<dyn RenewalLimiter>, RenewalRequest)>,
}

impl Permit {
    pub(super) const fn unlimited() -> Self {
        Self { held: None }
    }

    pub(super) fn new(limiter: &Arc<dyn RenewalLimiter>, request: RenewalRequest) -> Self {
        Self { held: Some((Arc::clone(limiter), request)) }
    }

    /// The limiter granted nothing: there is nothing to release.
    pub(super) fn forget(mut self) {
        self.held = None;
    }

    /// After a mint the limiter stays acquired; after a failure it is released soon.
    pub(super) fn settle(mut self, minted: bool) {
        if let Some((limiter, request)) = self.held.take()
            && !minted
        {
            limiter
                .release(request, request.now + request.min_interval.min(AFTER_A_FAILURE))
                .detach();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((limiter, request)) = self.held.take() {
            limiter.release(request, request.now).detach();
        }
    }
}
