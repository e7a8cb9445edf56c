//! What a renewal has to pass before a token is minted.

use std::{sync::Arc, time::Duration};

use crate::{identity::StoreKey, maybe_ready::MaybeReady, time::Timestamp};

/// Grants renewals: at most one mint per session, and per user, per interval.
///
/// Without a grant nothing is minted and the request goes on: a gate that is full or fails costs
/// a renewal, never an answer.
pub trait RenewalLimiter: Send + Sync + 'static {
    /// Asks for a grant; one atomic step. A grant closes both of its gates until
    /// `now + min_interval`.
    fn admit(&self, ask: RenewalRequest) -> MaybeReady<RenewalDecision>;

    /// Moves both gates that `ask` had closed to `until`: at once (`ask.now`) for a mint that was
    /// cancelled, a little later for one that failed. Gates that another grant has closed since
    /// stay as they are.
    fn release(&self, ask: RenewalRequest, until: Timestamp) -> MaybeReady<()>;
}

impl<T> RenewalLimiter for Arc<T>
where
    T: RenewalLimiter + ?Sized,
{
    fn admit(&self, ask: RenewalRequest) -> MaybeReady<RenewalDecision> {
        (**self).admit(ask)
    }

    fn release(&self, ask: RenewalRequest, until: Timestamp) -> MaybeReady<()> {
        (**self).release(ask, until)
    }
}

/// A renewal that asks for its grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalRequest {
    /// The session that is to be renewed: single flight.
    pub session: StoreKey,
    /// The user it belongs to, or `None` where the rate is waived: a token that would not live
    /// through the interval is not made to wait for another device of its user.
    pub user: Option<StoreKey>,
    /// When the grant is asked for.
    pub now: Timestamp,
    /// How long a grant keeps its gates closed; never zero.
    pub min_interval: Duration,
}

/// The answer to a [`RenewalRequest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalDecision {
    /// Mint.
    Granted,
    /// Another mint was granted within the interval, or the gate has no room left.
    Denied,
}
