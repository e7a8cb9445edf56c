//! The renewal limiter: how often tokens are renewed.

use std::{sync::Arc, time::Duration};

use crate::{identity::StoreKey, maybe_ready::MaybeReady, time::Timestamp};

/// Grants renewals: at most one per session, and one per user, per interval.
///
/// Without a grant no token is minted and the request goes on: a limiter that is full or fails
/// prevents a renewal, never a response.
pub trait RenewalLimiter: Send + Sync + 'static {
    /// Requests a grant; one atomic step. A grant blocks further ones of the session and of the
    /// user until `now + min_interval`.
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision>;

    /// Ends at `until` what the grant of `request` blocks: at `request.now` for a renewal that was
    /// cancelled, a little later for one that failed. Does not change what another grant has
    /// blocked since.
    fn release(&self, request: RenewalRequest, until: Timestamp) -> MaybeReady<()>;
}

#[deny(clippy::missing_trait_methods, reason = "an Arc forwards every method")]
impl<T> RenewalLimiter for Arc<T>
where
    T: RenewalLimiter + ?Sized,
{
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision> {
        (**self).acquire(request)
    }

    fn release(&self, request: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        (**self).release(request, until)
    }
}

/// A renewal that requests a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewalRequest {
    /// The session to renew.
    pub session: StoreKey,
    /// Its user; `None` waives the limit per user, for a token that expires within the interval.
    pub user: Option<StoreKey>,
    /// When the grant is requested.
    pub now: Timestamp,
    /// How long a grant blocks others; never zero.
    pub min_interval: Duration,
}

impl RenewalRequest {
    /// Creates a request.
    #[must_use]
    pub const fn new(
        session: StoreKey,
        user: Option<StoreKey>,
        now: Timestamp,
        min_interval: Duration,
    ) -> Self {
        Self { session, user, now, min_interval }
    }
}

/// The answer to a [`RenewalRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenewalDecision {
    /// The token may be renewed.
    Granted,
    /// Another renewal was granted within the interval, or the limiter has no room.
    Denied,
}
