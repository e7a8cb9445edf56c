//! The policies of the demo: a session of one minute to watch, and those that the environment sets.

use std::{ffi::OsString, time::Duration};

use serde::Serialize;
use tower::BoxError;
use tower_sliding_session::{
    Policy,
    policy::{PolicyBuilder, RenewWhen, parse_duration},
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The policies by profile.
pub(crate) struct Policies {
    pub(crate) short: Policy,
    pub(crate) normal: Policy,
    pub(crate) remember_me: Policy,
    pub(crate) guest: Policy,
}

impl Policies {
    /// Reads the policies from variables, which `lookup` returns by name. `DEMO_SHORT=1` makes
    /// `normal` a session of one minute as well.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, BoxError> {
        let normal = match lookup("DEMO_SHORT").as_deref().and_then(|set| set.to_str()) {
            Some("1") => short(),
            None | Some("0") => Policy::builder(),
            Some(_) => return Err("DEMO_SHORT is 1 or 0".into()),
        };
        let normal = normal.overlay("SESSION", &lookup).build()?;
        Ok(Self {
            short: short().build()?,
            remember_me: longer(&normal, "SESSION_REMEMBER_ME", 7 * DAY, 30 * DAY, &lookup)?,
            guest: longer(&normal, "SESSION_GUEST", HOUR, 12 * HOUR, &lookup)?,
            normal,
        })
    }

    /// The profiles for a page, in the order in which it offers them.
    pub(crate) fn listed(&self) -> [ListedPolicy; 4] {
        [
            ListedPolicy::new("short", &self.short),
            ListedPolicy::new("normal", &self.normal),
            ListedPolicy::new("remember_me", &self.remember_me),
            ListedPolicy::new("guest", &self.guest),
        ]
    }
}

/// The presets of the crate, for the explorer.
pub(crate) fn presets() -> [ListedPolicy; 4] {
    [
        ListedPolicy::new("nist_aal2", &Policy::nist_aal2()),
        ListedPolicy::new("nist_aal3", &Policy::nist_aal3()),
        ListedPolicy::new("pci_dss", &Policy::pci_dss()),
        ListedPolicy::new("long_lived", &Policy::long_lived()),
    ]
}

/// A session whose renewal, idle timeout and end a visitor sees within a minute. A token expires
/// before the idle timeout; its refresh token then continues the session.
fn short() -> PolicyBuilder {
    Policy::builder()
        .idle_timeout(Duration::from_secs(20))
        .absolute_timeout(Duration::from_secs(60))
        .token_lifetime(Duration::from_secs(10))
        .renew_threshold(0.5)
        .renew_min_interval(Duration::ZERO)
}

/// Returns a profile that renews as `normal` does, with its own timeouts. Its idle timeout is its
/// token lifetime unless it is set.
fn longer(
    normal: &Policy,
    prefix: &str,
    lifetime: Duration,
    absolute: Duration,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Policy, BoxError> {
    let variable = format!("{prefix}_TOKEN_LIFETIME");
    let lifetime = match lookup(&variable) {
        Some(set) => {
            let set = set.to_str().ok_or_else(|| format!("{variable} is not Unicode"))?;
            parse_duration(set).map_err(|error| format!("{variable}: {error}"))?
        }
        None => lifetime,
    };
    let builder = normal.to_builder().token_lifetime(lifetime).idle_timeout(lifetime);
    Ok(builder.absolute_timeout(absolute).overlay(prefix, lookup).build()?)
}

/// A policy for a page. Times are in seconds.
#[derive(Serialize)]
pub(crate) struct ListedPolicy {
    name: &'static str,
    idle_timeout: f64,
    absolute_timeout: f64,
    token_lifetime: f64,
    renew: bool,
    renew_threshold: RenewWhen,
    renew_min_interval: f64,
}

impl ListedPolicy {
    fn new(name: &'static str, policy: &Policy) -> Self {
        Self {
            name,
            idle_timeout: policy.idle_timeout().as_secs_f64(),
            absolute_timeout: policy.absolute_timeout().as_secs_f64(),
            token_lifetime: policy.token_lifetime().as_secs_f64(),
            renew: policy.renews(),
            renew_threshold: policy.renew_when(),
            renew_min_interval: policy.renew_min_interval().as_secs_f64(),
        }
    }
}
