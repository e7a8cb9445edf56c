//! Settings that contradict each other or are out of bounds.

use std::time::Duration;

use super::settings::SlidingSessionsBuilder;
use crate::{session::UnknownSessions, transport::TokenOrigin};

const MAX_REUSE_GRACE: Duration = Duration::from_secs(5 * 60);

impl SlidingSessionsBuilder {
    /// Lists every problem, each with what to change.
    pub(super) fn find_problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        problems.extend(self.transport_problems());
        problems.extend(self.store_problems());
        problems.extend(self.unknown_session_problems());
        problems.extend(self.refresh_problems());
        problems.extend(self.ticket_problems());
        problems.extend(self.override_problems());
        problems.extend(self.session_limit_problems());
        problems
    }

    fn transport_problems(&self) -> Option<String> {
        (self.transports.count(TokenOrigin::Cookie) > 1)
            .then(|| "session_cookie: only one transport can use a cookie: remove one".to_owned())
    }

    fn store_problems(&self) -> Option<String> {
        (self.store.is_some() && self.lifecycle_store.is_some()).then(|| {
            "store: `lifecycle_store` is set, too, and is also the store of the layers: remove one \
             of them"
                .to_owned()
        })
    }

    /// A session that is unknown although it is active must not be rejected (P33).
    fn unknown_session_problems(&self) -> Vec<String> {
        if self.unknown_sessions != UnknownSessions::Reject {
            return Vec::new();
        }
        let (store, lifecycle_store) = (self.store.as_ref(), self.lifecycle_store.as_ref());
        let is_durable = store.is_some_and(|it| it.is_durable())
            || lifecycle_store.is_some_and(|it| it.is_durable());
        let keys = self.verifier.keys();
        [
            (
                !is_durable,
                "the store forgets sessions in a restart: set a durable one with `lifecycle_store` \
                 (`SessionStore::is_durable`)",
            ),
            (
                self.verifier.adopts(),
                "`legacy_tokens` adopts tokens whose sessions the store does not know: remove it",
            ),
            (
                !keys.signs() || keys.has_issuers(),
                "the store does not know the sessions of other issuers: pass keys of your own only",
            ),
        ]
        .into_iter()
        .filter(|(is_problem, _)| *is_problem)
        .map(|(_, problem)| {
            let instead = "or remove `Reject`";
            format!("unknown_sessions: `Reject` ends active sessions, because {problem}, {instead}")
        })
        .collect()
    }

    fn refresh_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(grace) = self.reuse_grace {
            if !self.refresh_tokens {
                problems.push(
                    "reuse_grace: refresh tokens are off: call `refresh_tokens`, or remove it"
                        .to_owned(),
                );
            }
            if grace > MAX_REUSE_GRACE {
                problems.push(
                    "reuse_grace: it is too long, because a stolen refresh token is accepted for \
                     this time: set it to 5m or less"
                        .to_owned(),
                );
            }
        }
        if !self.refresh_tokens {
            return problems;
        }
        if self.store.is_some() && self.lifecycle_store.is_none() {
            problems.push(
                "refresh_tokens: `store` cannot store refresh tokens: set a store with \
                 `lifecycle_store`"
                    .to_owned(),
            );
        }
        if !self.verifier.keys().signs() {
            problems.push(
                "refresh_tokens: the keys verify only, and cannot sign refresh tokens: pass keys \
                 that sign, or remove `refresh_tokens`"
                    .to_owned(),
            );
        }
        let sliding = self.profiles.iter().filter(|(_, policy)| !policy.records_activity());
        problems.extend(sliding.map(|(name, _)| {
            format!(
                "refresh_tokens: the policy `{name}` does not record activity (`Policy::sliding`): \
                 give it an idle timeout, or remove `refresh_tokens`"
            )
        }));
        problems
    }

    fn ticket_problems(&self) -> Option<String> {
        if !self.tickets {
            return None;
        }
        if self.store.is_some() && self.lifecycle_store.is_none() {
            let problem =
                "tickets: `store` cannot store tickets: set a store with `lifecycle_store`";
            return Some(problem.to_owned());
        }
        (!self.verifier.keys().signs()).then(|| {
            "tickets: the keys verify only, and cannot sign tickets: pass keys that sign, or remove \
             `tickets`"
                .to_owned()
        })
    }

    fn session_limit_problems(&self) -> Vec<String> {
        let Some((max, _)) = self.max_sessions else { return Vec::new() };
        let mut problems = Vec::new();
        if max == 0 {
            problems.push(
                "max_sessions: with 0 nobody can sign in: set it to 1 or more, or remove it"
                    .to_owned(),
            );
        }
        if self.store.is_some() && self.lifecycle_store.is_none() {
            problems.push(
                "max_sessions: `store` cannot count sessions: set a store with `lifecycle_store`"
                    .to_owned(),
            );
        }
        problems
    }

    fn override_problems(&self) -> Vec<String> {
        let bounds = &self.override_bounds;
        let weakens_preset =
            bounds.allows_longer_than_policy() && self.profiles.normal().is_preset();
        let preset = weakens_preset.then(|| {
            "override_bounds: the policy is a preset, and an account cannot weaken a preset: remove \
             `dangerous_longer_than_policy`, or make the policy with `Policy::builder`"
                .to_owned()
        });
        let ranges = [("idle", &bounds.idle), ("absolute", &bounds.absolute)]
            .into_iter()
            .filter(|(_, range)| range.is_empty() || range.start().as_secs() == 0)
            .map(|(name, range)| {
                format!(
                    "override_bounds: the range of `{name}`, {range:?}, is not valid: begin with 1s \
                     or more, and end with a longer timeout"
                )
            });
        preset.into_iter().chain(ranges).collect()
    }
}
