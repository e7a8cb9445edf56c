//! Settings of the lifecycle: refresh tokens, account policies, audit, ready-made routes.

use std::{sync::Arc, time::Duration};

use http::Extensions;

use super::settings::SlidingSessionsBuilder;
use crate::{
    audit::AuditSink,
    lifecycle::UserDirectory,
    policy::OverrideBounds,
    session::Session,
    store::{LifecycleStore, OnSessionLimit},
};

/// Refresh tokens, account policies, audit and ready-made routes.
impl SlidingSessionsBuilder {
    /// Sets the store of the layers and of the lifecycle: sessions, refresh tokens, revocations,
    /// account policies and logs. A [`MemoryStore`](crate::store::MemoryStore) by default; a restart
    /// loses what it stores.
    pub fn lifecycle_store(mut self, store: impl LifecycleStore) -> Self {
        self.lifecycle_store = Some(Arc::new(store));
        self.once("lifecycle_store")
    }

    /// Issues a refresh token with each sign-in and refresh. Off by default.
    pub fn refresh_tokens(mut self) -> Self {
        self.refresh_tokens = true;
        self.once("refresh_tokens")
    }

    /// Sets how long after its exchange a refresh token is still answered with its successors,
    /// because the client may have lost the first response. Default 10 s, at most 5 minutes.
    ///
    /// Zero switches the detection of reuse off: a used refresh token is rejected and the session is
    /// not revoked, which is weaker (RFC 9700 section 4.14.2). It needs
    /// [`refresh_tokens`](Self::refresh_tokens).
    pub fn reuse_grace(mut self, grace: Duration) -> Self {
        self.reuse_grace = Some(grace);
        self.once("reuse_grace")
    }

    /// Sets how many sessions a subject may have at a time, in all accounts, and what a further sign-in
    /// does. No limit by default.
    ///
    /// It holds in the step that begins a session, whatever signs in concurrently and on whichever
    /// node. Expired and ended sessions do not count, and neither does a step-up, which replaces a
    /// session. Adopted sessions of an earlier system count and are not refused. The store can count
    /// only what it has a record of: not what the memory store has evicted or a restart has lost.
    /// One sign-in ends at most 100 sessions.
    ///
    /// A session that ends is told `session_revoked`; its audit record has the cause `session_limit`.
    /// A refused sign-in is [`StartError::TooManySessions`](crate::StartError::TooManySessions).
    ///
    /// ```
    /// # use tower_sliding_session::{JwtKeys, Policy, SlidingSessions};
    /// use tower_sliding_session::store::OnSessionLimit;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keys = JwtKeys::hs256([7; 32])?;
    /// let sessions = SlidingSessions::builder(keys, Policy::long_lived())
    ///     .max_sessions(3, OnSessionLimit::Oldest)
    ///     .build()?;
    /// # drop(sessions);
    /// # Ok(()) }
    /// ```
    pub fn max_sessions(mut self, max: u32, on_limit: OnSessionLimit) -> Self {
        self.max_sessions = Some((max, on_limit));
        self.once("max_sessions")
    }

    /// Sets the bounds of the timeouts that the owner of an account can choose. By default 5 minutes
    /// to 30 days for the idle timeout, 1 hour to 90 days for the absolute timeout, and never longer
    /// than the timeouts of the policy.
    pub fn override_bounds(mut self, bounds: OverrideBounds) -> Self {
        self.override_bounds = bounds;
        self.once("override_bounds")
    }

    /// Adds an audit sink. Each sink receives every record; may be called several times.
    ///
    /// Without it, records go to `tracing` (target `session_audit`) and to the audit log of the
    /// lifecycle store.
    pub fn audit_sink(mut self, sink: impl AuditSink) -> Self {
        self.audit_sinks.push(Arc::new(sink));
        self
    }

    /// Keeps the plain `sub` in audit records, beside its digest. It is personal data; off by
    /// default.
    pub fn audit_plain_subjects(mut self) -> Self {
        self.audit_plain_subjects = true;
        self.once("audit_plain_subjects")
    }

    /// Keeps an activity log: an entry for each request that counts as activity, and for each other
    /// one whose method is not `GET` or `HEAD`, with its time, class, method, route pattern and
    /// status. Off by default.
    pub fn activity_log(mut self) -> Self {
        self.activity_log = true;
        self.once("activity_log")
    }

    /// Sets how the route pattern of an entry of the activity log is found, in the extensions of the
    /// request. By default entries have none.
    ///
    /// With axum: `.route_pattern(|extensions| Some(extensions.get::<MatchedPath>()?.as_str().to_owned()))`,
    /// in a stack that is added by `Router::route_layer` or `Router::layer`.
    pub fn route_pattern<F>(mut self, pattern: F) -> Self
    where
        F: Fn(&Extensions) -> Option<String> + Send + Sync + 'static,
    {
        self.route_pattern = Some(Arc::new(pattern));
        self.once("route_pattern")
    }

    /// Sets who owns an account: who may read and change its policy, list its users and revoke its
    /// sessions. Nobody by default.
    pub fn account_owner<F>(mut self, is_owner: F) -> Self
    where
        F: Fn(&Session) -> bool + Send + Sync + 'static,
    {
        self.account_owner = Some(Arc::new(is_owner));
        self.once("account_owner")
    }

    /// Sets what returns the names and addresses of users, for the list of active users.
    pub fn user_directory(mut self, directory: impl UserDirectory) -> Self {
        self.user_directory = Some(Arc::new(directory));
        self.once("user_directory")
    }

    /// Sets the classes of the ready-made routes, which are nested at `path`: with `/auth`, the paths
    /// `/auth/refresh`, `/auth/config` and the modules for browsers are public. `GET /auth/session` is
    /// [`Background`](crate::RequestClass::Background), and `User` with the request header
    /// `Session-Activity: user`.
    pub fn router_at(mut self, path: &str) -> Self {
        self.router_at = Some(path.trim_end_matches('/').to_owned());
        self.once("router_at")
    }
}
