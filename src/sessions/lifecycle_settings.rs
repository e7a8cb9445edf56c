//! What can be set about the session's life around its requests.

use std::{sync::Arc, time::Duration};

use http::Extensions;

use super::{IsOwner, SlidingSessionsBuilder};
use crate::{
    audit::{AuditQueue, AuditSink, TracingSink},
    layers::activity::RoutePattern,
    lifecycle::UserDirectory,
    policy::{OverrideBounds, Profiles},
    session::Session,
    store::{LifecycleStore, StoreLog},
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
    audit_sinks: Vec<Arc<dyn AuditSink>>,
    plain_subjects: bool,
    pub(super) activity_log: bool,
    pub(super) route_pattern: Option<Arc<RoutePattern>>,
    pub(super) owner: Option<Arc<IsOwner>>,
    pub(super) directory: Option<Arc<dyn UserDirectory>>,
    pub(super) router_at: Option<String>,
}

impl LifecycleSettings {
    /// Returns the queue for every sink: `tracing`, the log of the lifecycle store, and the app's.
    pub(super) fn audit_queue(&self) -> AuditQueue {
        let mut sinks: Vec<Arc<dyn AuditSink>> = vec![Arc::new(TracingSink)];
        sinks.extend(self.audit_sinks.iter().cloned());
        let queue = match &self.records {
            Some(records) => {
                let store_log = Arc::new(StoreLog(Arc::clone(records)));
                AuditQueue::with_store_log(store_log, sinks)
            }
            None => AuditQueue::new(sinks),
        };
        if self.plain_subjects { queue.plain_subjects() } else { queue }
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

    /// Adds an audit sink. Every sink receives every record; may be called several times.
    ///
    /// Without it, records go to `tracing` (target `session_audit`) and to the audit log of the
    /// lifecycle store.
    pub fn audit_sink(mut self, sink: impl AuditSink) -> Self {
        self.lifecycle.audit_sinks.push(Arc::new(sink));
        self
    }

    /// Keeps the plain `sub` in audit records, beside its digest. It is personal data; off by
    /// default.
    pub fn audit_plain_subjects(mut self) -> Self {
        self.lifecycle.plain_subjects = true;
        self
    }

    /// Keeps an activity log: an entry for each request that counts as activity, with its time,
    /// method, route pattern and status. Off by default.
    pub fn activity_log(mut self) -> Self {
        self.lifecycle.activity_log = true;
        self
    }

    /// Sets how the route pattern of an entry of the activity log is found, in the extensions of
    /// the request. By default entries have none.
    ///
    /// With axum: `.route_pattern(|extensions| Some(extensions.get::<MatchedPath>()?.as_str().to_owned()))`,
    /// in a stack that is added by `Router::route_layer` or `Router::layer`.
    pub fn route_pattern<F>(mut self, pattern: F) -> Self
    where
        F: Fn(&Extensions) -> Option<String> + Send + Sync + 'static,
    {
        self.lifecycle.route_pattern = Some(Arc::new(pattern));
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
