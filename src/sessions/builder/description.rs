//! Describes the settings in words, and warns of those that are legal but surprising.

use std::fmt::Write as _;

use super::settings::SlidingSessionsBuilder;
use crate::{policy::Policy, request_class::Activity, store::OnSessionLimit};

impl SlidingSessionsBuilder {
    /// The description of each profile, and a line for each warning.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (name, policy) in self.profiles.iter() {
            let described = policy.describe_with(&self.warnings_of(policy));
            let _ = writeln!(text, "Profile `{name}`: {described}");
        }
        if self.activity == Activity::Declared {
            text.push_str("Activity: requests and refreshes with `Session-Activity: user`, and those of a path rule `user`.\n");
        }
        if let Some((max, on_limit)) = self.max_sessions {
            let what = match on_limit {
                OnSessionLimit::Oldest => "ends the oldest",
                OnSessionLimit::LeastActive => "ends the least active",
                OnSessionLimit::Refuse => "is refused",
            };
            let _ = writeln!(text, "Sessions of a subject: at most {max}; one more {what}.");
        }
        let described = match (&self.lifecycle_store, &self.store) {
            (Some(store), _) => store.describe(),
            (None, Some(store)) => store.describe(),
            (None, None) => None,
        };
        if let Some(store) = described {
            let _ = writeln!(text, "Store: {store}.");
        }
        if let Some(warning) = self.warn_of_overrides() {
            let _ = writeln!(text, "Warning: {warning}.");
        }
        text
    }

    pub(super) fn log_warnings(&self) {
        for (name, policy) in self.profiles.iter() {
            for warning in self.warnings_of(policy) {
                tracing::warn!(profile = name, "{warning}");
            }
        }
        if let Some(warning) = self.warn_of_overrides() {
            tracing::warn!("{warning}");
        }
        if self.store.is_none() && self.lifecycle_store.is_none() {
            tracing::info!(
                "sessions are stored in memory; a restart loses revocations and activity"
            );
        }
    }

    fn warnings_of(&self, policy: &Policy) -> Vec<String> {
        if self.refresh_tokens { policy.warnings_with_refresh_tokens() } else { policy.warnings() }
    }

    fn warn_of_overrides(&self) -> Option<String> {
        let longer = self.override_bounds.longer_than(self.profiles.normal())?;
        Some(format!(
            "the owner of an account can weaken the policy `normal`, to {longer}: remove \
             `dangerous_longer_than_policy`, or lower the upper bounds of `override_bounds`"
        ))
    }
}
