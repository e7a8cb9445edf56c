//! What can be set about the session's life around its requests.

use std::{sync::Arc, time::Duration};

use super::{IsOwner, SlidingSessionsBuilder};
use crate::{
    audit::{AuditQueue, AuditSink, TracingSink},
    lifecycle::UserDirectory,
    policy::{OverrideBounds, Profiles},
    session::Session,
    store::LifecycleStore,
};

/// How long a used refresh token is answered with its successor, by default.
const REUSE_GRACE: Duration = Duration::from_secs(10);

const LONGEST_GRACE: Duration = Duration::from_secs(5 * 60);

/// Settings of the lifecycle.
#[derive(Default)]
pub(super) struct LifecycleSettings {
    pub(super) records: Option<Arc<dyn LifecycleStore>>,
    pub(super) reuse_grace: Option<Duration>,
    pub(super) bounds: OverrideBounds,
    audit: Option<Arc<dyn AuditSink>>,
    pub(super) activity_log: bool,
    pub(super) owner: Option<Arc<IsOwner>>,
    pub(super) directory: Option<Arc<dyn UserDirectory>>,
    pub(super) router_at: Option<String>,
}

impl LifecycleSettings {
    /// Where events go: the sink that is set, else the store's log, else `tracing`.
    pub(super) fn audit_queue(&self) -> AuditQueue {
        AuditQueue::new(match (&self.audit, &self.records) {
            (Some(sink), _) => Arc::clone(sink),
            (None, Some(records)) => Arc::new(Arc::clone(records)),
            (None, None) => Arc::new(TracingSink),
        })
    }

    pub(super) fn problems(&self, profiles: &Profiles, layers_only: bool) -> Vec<String> {
        let mut problems = Vec::new();
        if self.reuse_grace.is_some() && layers_only {
            problems.push(
                "refresh_tokens: the store that is set remembers no refresh tokens: set one with \
                 `lifecycle_store`"
                    .to_owned(),
            );
        }
        if self.reuse_grace.is_some() {
            let sliding = profiles.iter().filter(|(_, policy)| !policy.records_activity());
            problems.extend(sliding.map(|(name, _)| {
                format!(
                    "refresh_tokens: the policy `{name}` keeps no record of activity \
                     (`Policy::sliding`): give it an idle timeout, or leave refresh tokens out"
                )
            }));
        }
        if self.reuse_grace.is_some_and(|grace| grace > LONGEST_GRACE) {
            problems.push(
                "reuse_grace: at most 5 minutes, for so long a stolen token is answered".to_owned(),
            );
        }
        for (name, bounds) in [("idle", &self.bounds.idle), ("absolute", &self.bounds.absolute)] {
            if bounds.is_empty() || bounds.start().as_secs() == 0 {
                problems.push(format!(
                    "override_bounds: `{name}` goes from at least one second up to more"
                ));
            }
        }
        problems
    }
}

/// The session's life around its requests.
impl SlidingSessionsBuilder {
    /// Where whole session lives are kept; the layers then ask it, too. A
    /// [`MemoryStore`](crate::store::MemoryStore) by default.
    pub fn lifecycle_store(mut self, store: impl LifecycleStore) -> Self {
        let store = Arc::new(store);
        self.store = Some(Arc::clone(&store) as _);
        self.lifecycle.records = Some(store);
        self
    }

    /// Hands out refresh tokens, too. Off by default.
    pub fn refresh_tokens(mut self) -> Self {
        self.lifecycle.reuse_grace.get_or_insert(REUSE_GRACE);
        self
    }

    /// Hands out refresh tokens, and answers one that was used no longer than `grace` ago with its
    /// successor: the client may have lost the answer. 10 s by default. Zero switches the
    /// detection of reuse off: a replay is refused and revokes nothing, which is weaker (RFC 9700
    /// section 4.14.2). At most 5 minutes.
    pub fn reuse_grace(mut self, grace: Duration) -> Self {
        self.lifecycle.reuse_grace = Some(grace);
        self
    }

    /// Within which bounds an account's owner may choose timeouts: by default 5 minutes to 30 days
    /// of idleness and 1 hour to 90 days in all. Narrow them where a standard limits you: an owner
    /// may choose longer ones than your policy has.
    pub fn override_bounds(mut self, bounds: OverrideBounds) -> Self {
        self.lifecycle.bounds = bounds;
        self
    }

    /// Where audit events are kept; by default the log of the lifecycle store that was set, else
    /// `tracing`.
    pub fn audit_sink(mut self, sink: impl AuditSink) -> Self {
        self.lifecycle.audit = Some(Arc::new(sink));
        self
    }

    /// Also keeps a row for each request that counts as activity: its time, method, route and
    /// status. Off by default.
    pub fn activity_log(mut self) -> Self {
        self.lifecycle.activity_log = true;
        self
    }

    /// Who may read and change the policy of an account, list its users and revoke its sessions.
    /// Nobody by default.
    pub fn account_owner<F>(mut self, is_owner: F) -> Self
    where
        F: Fn(&Session) -> bool + Send + Sync + 'static,
    {
        self.lifecycle.owner = Some(Arc::new(is_owner));
        self
    }

    /// What tells names and addresses of users, for the list of those who are active.
    pub fn user_directory(mut self, directory: impl UserDirectory) -> Self {
        self.lifecycle.directory = Some(Arc::new(directory));
        self
    }

    /// Tells that the ready-made routes are nested at `path`, such as `/auth`: `/auth/refresh` and
    /// `/auth/config` are public.
    pub fn router_at(mut self, path: &str) -> Self {
        self.lifecycle.router_at = Some(path.trim_end_matches('/').to_owned());
        self
    }
}
