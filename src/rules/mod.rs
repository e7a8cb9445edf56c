//! The rules: pure functions of (claims, last activity, policy, now).
//!
//! Nothing here reads a clock, a store or a request; every instant is handed in. A layer asks one
//! of these functions and performs what it answers.

mod claims;
mod duration;
mod policy;
mod refresh;
mod renewal;
mod standing;
mod time;

pub use self::{
    claims::SessionClaims,
    duration::{DurationError, parse_duration},
    policy::{
        Bound, OverrideBounds, OverrideField, Overrides, Policy, PolicyBuilder, PolicyError,
        Profiles, RenewWhen, Violation,
    },
    refresh::{refresh_exp, refresh_standing},
    renewal::{Successor, renewal, successor, waives_rate},
    standing::{
        Deadlines, Limit, Limits, Standing, is_idle, last_activity, signed_in_within, standing,
    },
    time::Timestamp,
};
