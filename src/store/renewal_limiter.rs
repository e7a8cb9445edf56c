//! The renewal limiter: how often tokens are renewed.

use std::{sync::Arc, time::Duration};

use crate::{identity::StoreKey, maybe_ready::MaybeReady, time::Timestamp};

/// Grants renewals: at most one per session, and one per user, per interval.
///
/// A renewal that is denied mints no token, and the request goes on. A limiter that is full, fails or
/// does not answer in time withholds no renewal for long: until it answers again, each node limits
/// the renewals of a session by itself, and in the last half of the renewal window of a token it
/// renews without a limit where it has no room either.
pub trait RenewalLimiter: Send + Sync + 'static {
    /// Requests a grant; one atomic step. A grant blocks further ones of the session until `now +
    /// session_interval`, and of the user until `now + min_interval`.
    fn acquire(&self, request: RenewalRequest) -> MaybeReady<RenewalDecision>;

    /// Ends at `until` what the grant of `request` blocks: at `request.now` for a renewal that was
    /// cancelled, a little later for one that failed. Neither prolongs it nor changes what another
    /// grant has blocked since.
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
    /// Its user.
    pub user: StoreKey,
    /// Whether the limit per user applies; not for a token that expires within the interval.
    pub limits_user: bool,
    /// When the grant is requested.
    pub now: Timestamp,
    /// How long a grant blocks others of the user; never zero.
    pub min_interval: Duration,
    /// How long a grant blocks others of the session: at most `min_interval`, and less for a token
    /// that expires soon. By default `min_interval`.
    pub session_interval: Duration,
    /// A random number that names the grant: a limiter that receives the request twice, since its
    /// client repeats it after an error, answers the same.
    pub id: u64,
}

impl RenewalRequest {
    /// Creates a request under both limits that blocks the session as long as the user.
    #[must_use]
    pub fn new(session: StoreKey, user: StoreKey, now: Timestamp, min_interval: Duration) -> Self {
        let (id, _) = uuid::Uuid::new_v4().as_u64_pair();
        let session_interval = min_interval;
        Self { session, user, limits_user: true, now, min_interval, session_interval, id }
    }
}

/// The answer to a [`RenewalRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenewalDecision {
    /// The token may be renewed.
    Granted,
    /// Another renewal was granted within the interval.
    Denied,
    /// The limiter has no room: it neither knows of another renewal nor can it block one.
    Full,
}
