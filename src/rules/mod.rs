//! The rules: pure functions of (claims, last activity, policy, now).
//!
//! Nothing here reads a clock, a store or a request: the caller passes every instant. A layer calls
//! one of these functions and performs the effect that the answer names.

mod claims;
mod refresh;
mod renewal;
mod status;

pub(crate) use self::claims::MintedBy;
pub use self::{
    claims::SessionClaims,
    status::{Deadlines, ExpiryReason},
};
pub(crate) use self::{
    refresh::{RecordedExchange, RefreshStep, refresh_exp, refresh_status, refresh_step},
    renewal::{
        TokenTimes, is_renewal_overdue, renewal_times, single_flight_interval, successor_times,
        waives_rate,
    },
    status::{
        InvalidTime, LONGEST_ADOPTION, SessionStatus, Timeouts, activity_before_loss,
        adopted_until, last_activity, session_status, signed_in_within, status, unknown_activity,
    },
};
