//! The settings and their defaults.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderName;

use crate::{
    audit::AuditSink,
    clock::{Clock, SystemClock},
    layers::{OnStoreFailure, activity::RoutePattern},
    lifecycle::UserDirectory,
    policy::{OverrideBounds, Policy, Profiles},
    rejection::MakeRejection,
    request_class::{Activity, Classify, PathRules},
    session::{Session, UnknownSessions},
    store::{LifecycleStore, OnSessionLimit, RenewalLimiter, SessionStore},
    token::{ClaimsSource, JwtKeys, TokenVerifier},
    transport::{SessionCookie, TokenDelivery, Transports},
};

/// How long after its exchange a refresh token is still answered with its successors, by default.
const REUSE_GRACE: Duration = Duration::from_secs(10);

/// Whether the user of a session owns its account.
pub(in crate::sessions) type IsOwner = dyn Fn(&Session) -> bool + Send + Sync;

/// Builds [`SlidingSessions`](crate::SlidingSessions); see
/// [`SlidingSessions::builder`](crate::SlidingSessions::builder).
///
/// Each setting may be set once, but for [`profile`](Self::profile), [`transport`](Self::transport),
/// [`token_header`](Self::token_header) and [`audit_sink`](Self::audit_sink), which add one of
/// several.
#[must_use = "a builder does nothing until `build` is called"]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting that is off by default")]
pub struct SlidingSessionsBuilder {
    pub(super) verifier: TokenVerifier,
    pub(super) profiles: Profiles,
    pub(super) path_rules: Option<PathRules>,
    pub(super) classify: Option<Arc<dyn Classify>>,
    pub(super) activity: Activity,
    pub(super) transports: Transports,
    pub(super) token_headers: Vec<HeaderName>,
    pub(super) delivery: TokenDelivery,
    pub(super) cookie: Option<SessionCookie>,
    /// For the layers alone.
    pub(super) store: Option<Arc<dyn SessionStore>>,
    /// For the layers and the lifecycle.
    pub(super) lifecycle_store: Option<Arc<dyn LifecycleStore>>,
    pub(super) renewal_limiter: Option<Arc<dyn RenewalLimiter>>,
    pub(super) claims_source: Option<Arc<dyn ClaimsSource>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) on_store_failure: OnStoreFailure,
    pub(super) unknown_sessions: UnknownSessions,
    pub(super) rejections: Option<Arc<dyn MakeRejection>>,
    pub(super) optional: bool,
    pub(super) allow_preflight: bool,
    pub(super) tickets: bool,
    pub(super) session_expires: bool,
    pub(super) refresh_tokens: bool,
    pub(super) reuse_grace: Option<Duration>,
    pub(super) max_sessions: Option<(u32, OnSessionLimit)>,
    pub(super) override_bounds: OverrideBounds,
    pub(super) audit_sinks: Vec<Arc<dyn AuditSink>>,
    pub(super) audit_plain_subjects: bool,
    pub(super) activity_log: bool,
    pub(super) route_pattern: Option<Arc<RoutePattern>>,
    pub(super) account_owner: Option<Arc<IsOwner>>,
    pub(super) user_directory: Option<Arc<dyn UserDirectory>>,
    pub(super) router_at: Option<String>,
    /// The setters that were called.
    called: Vec<&'static str>,
    /// Problems that a setter has found.
    pub(super) problems: Vec<String>,
}

impl SlidingSessionsBuilder {
    pub(in crate::sessions) fn new(keys: Arc<JwtKeys>, policy: Policy) -> Self {
        Self {
            verifier: TokenVerifier::new(keys),
            profiles: Profiles::new(policy),
            path_rules: None,
            classify: None,
            activity: Activity::default(),
            transports: Transports::new(),
            token_headers: Vec::new(),
            delivery: TokenDelivery::new(),
            cookie: None,
            store: None,
            lifecycle_store: None,
            renewal_limiter: None,
            claims_source: None,
            clock: Arc::new(SystemClock),
            on_store_failure: OnStoreFailure::default(),
            unknown_sessions: UnknownSessions::default(),
            rejections: None,
            optional: false,
            allow_preflight: false,
            tickets: false,
            session_expires: false,
            refresh_tokens: false,
            reuse_grace: None,
            max_sessions: None,
            override_bounds: OverrideBounds::new(),
            audit_sinks: Vec::new(),
            audit_plain_subjects: false,
            activity_log: false,
            route_pattern: None,
            account_owner: None,
            user_directory: None,
            router_at: None,
            called: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Records the call of a setter; a second call of the same one is a problem.
    pub(super) fn once(mut self, setting: &'static str) -> Self {
        if self.called.contains(&setting) {
            self.problems.push(format!("{setting}: it is set twice: set it once"));
        }
        self.called.push(setting);
        self
    }

    /// How long a used refresh token is answered with its successors; `None` if refresh tokens are
    /// off.
    pub(super) fn effective_reuse_grace(&self) -> Option<Duration> {
        self.refresh_tokens.then(|| self.reuse_grace.unwrap_or(REUSE_GRACE))
    }
}

impl fmt::Debug for SlidingSessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlidingSessionsBuilder(..)")
    }
}
