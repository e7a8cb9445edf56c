//! The response of `GET` and `PATCH /security`.

use serde::Serialize;

use crate::{
    extract::{Minutes, whole_minutes},
    lifecycle::{AccountPolicy, DirectoryEntry},
    policy::Policy,
    store::ActiveUser,
    time::Timestamp,
};

/// The account's overrides (`null` for the default), the effective timeouts, the defaults and the
/// bounds.
#[derive(Serialize)]
pub(in crate::router) struct Security {
    idle_timeout_minutes: Option<u64>,
    absolute_timeout_minutes: Option<u64>,
    effective: Timeouts,
    defaults: Timeouts,
    bounds: Bounds,
    active_users: Vec<ActiveUserView>,
}

#[derive(Serialize)]
struct Timeouts {
    idle_timeout_minutes: u64,
    absolute_timeout_minutes: u64,
}

#[derive(Serialize)]
struct Bounds {
    idle_timeout_minutes: Minutes,
    absolute_timeout_minutes: Minutes,
}

/// A user with an active session; without name and address if the directory does not know them.
#[derive(Serialize)]
pub(super) struct ActiveUserView {
    user_id: String,
    name: Option<String>,
    email: Option<String>,
    last_login_at: Timestamp,
}

impl Security {
    pub(super) fn new(
        policy: &AccountPolicy,
        default: &Policy,
        active_users: Vec<ActiveUserView>,
    ) -> Self {
        Self {
            idle_timeout_minutes: policy.overrides.idle.map(whole_minutes),
            absolute_timeout_minutes: policy.overrides.absolute.map(whole_minutes),
            effective: Timeouts {
                idle_timeout_minutes: whole_minutes(policy.idle_timeout),
                absolute_timeout_minutes: whole_minutes(policy.absolute_timeout),
            },
            defaults: Timeouts {
                idle_timeout_minutes: whole_minutes(default.idle_timeout()),
                absolute_timeout_minutes: whole_minutes(default.absolute_timeout()),
            },
            bounds: Bounds {
                idle_timeout_minutes: Minutes::from_range(&policy.bounds.idle),
                absolute_timeout_minutes: Minutes::from_range(&policy.bounds.absolute),
            },
            active_users,
        }
    }
}

impl ActiveUserView {
    pub(super) fn new(user: &ActiveUser, entries: &[DirectoryEntry]) -> Self {
        let entry = entries.iter().find(|entry| entry.subject == user.sub);
        Self {
            user_id: user.sub.clone(),
            name: entry.map(|entry| entry.name.clone()),
            email: entry.map(|entry| entry.email.clone()),
            last_login_at: user.last_login_at,
        }
    }
}
