//! The settings as they are told.

use std::{ops::RangeInclusive, time::Duration};

use serde::Serialize;

use super::settings::MINUTE;
use crate::{
    lifecycle::{AccountPolicy, DirectoryEntry},
    policy::Policy,
    store::ActiveUser,
};

/// What the owner has decided, or `null` for the default; what is in force; what may be chosen.
#[derive(Serialize)]
pub(in crate::router) struct Security {
    idle_timeout_minutes: Option<u64>,
    absolute_timeout_minutes: Option<u64>,
    effective: Timeouts,
    defaults: Timeouts,
    bounds: Bounds,
    active_users: Vec<SignedIn>,
}

#[derive(Serialize)]
struct Timeouts {
    idle_timeout_minutes: u64,
    absolute_timeout_minutes: u64,
}

#[derive(Serialize)]
struct Bounds {
    idle_timeout_minutes: Range,
    absolute_timeout_minutes: Range,
}

/// The least and the most whole minutes.
#[derive(Serialize)]
pub(super) struct Range {
    pub(super) min: u64,
    pub(super) max: u64,
}

/// A user with a live session; without a name where the directory knows none.
#[derive(Serialize)]
pub(super) struct SignedIn {
    user_id: String,
    name: Option<String>,
    email: Option<String>,
    last_login_at: String,
}

impl Security {
    pub(super) fn new(
        policy: &AccountPolicy,
        default: &Policy,
        active_users: Vec<SignedIn>,
    ) -> Self {
        Self {
            idle_timeout_minutes: policy.overrides.idle.map(minutes),
            absolute_timeout_minutes: policy.overrides.absolute.map(minutes),
            effective: Timeouts {
                idle_timeout_minutes: minutes(policy.idle_timeout),
                absolute_timeout_minutes: minutes(policy.absolute_timeout),
            },
            defaults: Timeouts {
                idle_timeout_minutes: minutes(default.idle_timeout()),
                absolute_timeout_minutes: minutes(default.absolute_timeout()),
            },
            bounds: Bounds {
                idle_timeout_minutes: Range::from_bounds(&policy.bounds.idle),
                absolute_timeout_minutes: Range::from_bounds(&policy.bounds.absolute),
            },
            active_users,
        }
    }
}

impl Range {
    pub(super) fn from_bounds(bounds: &RangeInclusive<Duration>) -> Self {
        let least = *bounds.start();
        let rounded_up = least.as_secs().saturating_add(u64::from(least.subsec_nanos() > 0));
        Self { min: rounded_up.div_ceil(MINUTE), max: minutes(*bounds.end()) }
    }
}

impl SignedIn {
    pub(super) fn new(user: &ActiveUser, entries: &[DirectoryEntry]) -> Self {
        let entry = entries.iter().find(|entry| entry.subject == user.sub);
        Self {
            user_id: user.sub.clone(),
            name: entry.map(|entry| entry.name.clone()),
            email: entry.map(|entry| entry.email.clone()),
            last_login_at: user.last_login_at.to_string(),
        }
    }
}

/// Whole minutes, rounded down.
pub(super) const fn minutes(time: Duration) -> u64 {
    time.as_secs() / MINUTE
}
