//! Everything that can be set, and one error for everything that is wrong.

use std::{fmt, sync::Arc};

use http::HeaderName;

use super::{Hub, SlidingSessions, lifecycle_settings::LifecycleSettings};
use crate::{
    audit::AuditQueue,
    clock::{Clock, SystemClock},
    layers::{
        ActivityLayer, AuthenticateLayer, ClassifyLayer, OnStoreFailure, RenewLayer,
        UnknownSessions,
    },
    lifecycle::Lifecycle,
    policy::{Policy, Profiles},
    rejection::MakeRejection,
    request_class::{Classify, PathRules, RequestClass, RequestHead},
    session::Enforcement,
    store::{MemoryLimiter, MemoryStore, RenewalLimiter, SessionStore},
    token::{ClaimsSource, JwtKeys, LegacyTokens, TokenVerifier},
    transport::{
        Bearer, HeaderToken, SessionCookie, TokenDelivery, TokenOrigin, Transport, Transports,
    },
};

/// Builds [`SlidingSessions`]; [`build`](Self::build) checks everything.
#[must_use]
pub struct SlidingSessionsBuilder {
    verifier: TokenVerifier,
    profiles: Profiles,
    pub(super) path_rules: Option<PathRules>,
    classify: Option<Arc<dyn Classify>>,
    transports: Transports,
    delivery: TokenDelivery,
    cookie: Option<SessionCookie>,
    mirror: Option<(String, String)>,
    pub(super) store: Option<Arc<dyn SessionStore>>,
    limiter: Option<Arc<dyn RenewalLimiter>>,
    claims: Option<Arc<dyn ClaimsSource>>,
    clock: Arc<dyn Clock>,
    on_failure: OnStoreFailure,
    unknown: UnknownSessions,
    rejections: Option<Arc<dyn MakeRejection>>,
    optional: bool,
    allow_preflight: bool,
    session_expires: bool,
    pub(super) lifecycle: LifecycleSettings,
}

impl SlidingSessionsBuilder {
    pub(super) fn new(keys: Arc<JwtKeys>, policy: Policy) -> Self {
        Self {
            verifier: TokenVerifier::new(keys),
            profiles: Profiles::new(policy),
            path_rules: None,
            classify: None,
            transports: Transports::new(),
            delivery: TokenDelivery::new(),
            cookie: None,
            mirror: None,
            store: None,
            limiter: None,
            claims: None,
            clock: Arc::new(SystemClock),
            on_failure: OnStoreFailure::Reject,
            unknown: UnknownSessions::Adopt,
            rejections: None,
            optional: false,
            allow_preflight: false,
            session_expires: false,
            lifecycle: LifecycleSettings::default(),
        }
    }

    /// A policy beside the normal one, for sessions started with this profile.
    pub fn profile(mut self, name: impl Into<String>, policy: Policy) -> Self {
        self.profiles = self.profiles.with(name, policy);
        self
    }

    /// Which paths are public, and which do not count as activity; by default all count.
    pub fn path_rules(mut self, rules: PathRules) -> Self {
        self.path_rules = Some(rules);
        self
    }

    /// Asked where the path rules name no class.
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.classify = Some(Arc::new(classify));
        self
    }

    /// The `iss` that tokens are minted with and must have; none by default.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.verifier = self.verifier.issuer(issuer);
        self
    }

    /// The `aud` that tokens are minted with and must contain; none by default.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.verifier = self.verifier.audience(audience);
        self
    }

    /// What becomes of tokens without `sid` or `auth_time`; rejected by default.
    pub fn legacy_tokens(mut self, legacy: LegacyTokens) -> Self {
        self.verifier = self.verifier.legacy(legacy);
        self
    }

    /// How many verified tokens are remembered; 16,384 by default, 0 for none. See
    /// [`TokenVerifier::cached_tokens`].
    pub fn cached_tokens(mut self, tokens: usize) -> Self {
        self.verifier = self.verifier.cached_tokens(tokens);
        self
    }

    /// Reads tokens from the `Authorization` header; the default where no transport is named.
    /// The first transport, in the order of these calls, that presents something decides.
    pub fn bearer(self) -> Self {
        self.transport(Bearer::new())
    }

    /// Reads tokens with a transport of your own. Its successors go out as its
    /// [origin](Transport::origin) says.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transports = self.transports.with(transport);
        self
    }

    /// Reads tokens from a cookie, and writes their successors to it.
    pub fn session_cookie(mut self, cookie: SessionCookie) -> Self {
        self = self.transport(cookie.clone());
        self.delivery = self.delivery.cookie(cookie.clone());
        self.cookie = Some(cookie);
        self
    }

    /// Reads tokens from a header of its own.
    pub fn token_header(self, name: HeaderName) -> Self {
        self.transport(HeaderToken::new(name))
    }

    /// The response header of renewed tokens; `x-refreshed-token` by default.
    pub fn renewed_token_header(mut self, name: HeaderName) -> Self {
        self.delivery = self.delivery.header(name);
        self
    }

    /// Also writes tokens that are renewed in the header into a cookie.
    pub fn mirror_cookie(mut self, name: impl Into<String>, path: impl Into<String>) -> Self {
        self.mirror = Some((name.into(), path.into()));
        self
    }

    /// What remembers sessions for the layers alone: there are then no refresh tokens, no lists and
    /// no account policies. A [`MemoryStore`] by default, which a restart empties, and which does
    /// it all.
    pub fn store(mut self, store: impl SessionStore) -> Self {
        self.store = Some(Arc::new(store));
        self.lifecycle.records = None;
        self
    }

    /// What grants renewals; a [`MemoryLimiter`] by default.
    pub fn renewal_limiter(mut self, limiter: impl RenewalLimiter) -> Self {
        self.limiter = Some(Arc::new(limiter));
        self
    }

    /// What tells the app's claims at each renewal. Set it: without it, roles stay as they were at
    /// sign-in for as long as the session lives.
    pub fn claims_source(mut self, source: impl ClaimsSource) -> Self {
        self.claims = Some(Arc::new(source));
        self
    }

    /// Another clock than the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What becomes of requests while the store does not answer; rejected with 503 by default.
    pub fn on_store_failure(mut self, on_failure: OnStoreFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// What becomes of sessions that the store does not know; adopted by default.
    pub fn unknown_sessions(mut self, unknown: UnknownSessions) -> Self {
        self.unknown = unknown;
        self
    }

    /// Writes the bodies of rejections over plain HTTP; problem details by default.
    pub fn rejections(mut self, make: impl MakeRejection) -> Self {
        self.rejections = Some(Arc::new(make));
        self
    }

    /// Lets requests without a token pass, without a `Session`; a bad token is still rejected.
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Answers CORS preflights with 204 and passes nothing of them inward; off by default, for a
    /// `CorsLayer` outside answers them first.
    pub fn allow_preflight(mut self) -> Self {
        self.allow_preflight = true;
        self
    }

    /// Adds `Session-Expires` to every response of a session; off by default.
    pub fn session_expires(mut self) -> Self {
        self.session_expires = true;
        self
    }

    /// The sessions.
    ///
    /// What is legal but surprising is logged as a warning, once, here.
    ///
    /// # Errors
    /// One error that lists everything that is wrong, with what to change.
    pub fn build(mut self) -> Result<SlidingSessions, BuildError> {
        let mut problems = Vec::new();
        if let Some(at) = self.lifecycle.router_at.take() {
            let rules = self.path_rules.take().unwrap_or_default();
            let public = |rules: PathRules, route| rules.public(format!("{at}{route}"));
            self.path_rules = Some(public(public(rules, "/refresh"), "/config"));
        }
        let rules = self.path_rules.take().map(PathRules::compile).transpose();
        let rules = rules.unwrap_or_else(|error| {
            problems.extend_from_slice(error.problems());
            None
        });
        if let Some((name, path)) = self.mirror.take() {
            match SessionCookie::named(name, path) {
                Ok(cookie) => self.delivery = self.delivery.mirror_cookie(cookie),
                Err(error) => problems.push(format!("mirror_cookie: {error}")),
            }
        }
        if self.transports.count(TokenOrigin::Cookie) > 1 {
            problems.push("session_cookie: name one cookie only".to_owned());
        }
        let layers_only = self.store.is_some() && self.lifecycle.records.is_none();
        problems.extend(self.lifecycle.problems(&self.profiles, layers_only));
        if !problems.is_empty() {
            return Err(BuildError { problems });
        }
        let classify = match (rules, self.classify.take()) {
            (Some(rules), Some(second)) => ClassifyLayer::new(rules.otherwise(second)),
            (Some(rules), None) => ClassifyLayer::new(rules),
            (None, Some(classify)) => ClassifyLayer::new(classify),
            (None, None) => ClassifyLayer::new(|_: RequestHead<'_>| RequestClass::User),
        };
        self.warn();
        let audit_queue = self.lifecycle.audit_queue();
        self.remember();
        Ok(SlidingSessions { hub: Arc::new(self.hub(classify, audit_queue)) })
    }

    fn warn(&self) {
        for (name, policy) in self.profiles.iter() {
            let warnings = match self.lifecycle.reuse_grace {
                Some(_) => policy.warnings_with_refresh_tokens(),
                None => policy.warnings(),
            };
            for warning in warnings {
                tracing::warn!(profile = name, "{warning}");
            }
        }
        if self.store.is_none() {
            tracing::warn!(
                "sessions are remembered in memory: a restart forgets who signed out and when each \
                 session was last active; set a durable store to keep both"
            );
        }
    }

    /// Sets the store in memory where none is set.
    fn remember(&mut self) {
        if self.store.is_none() {
            let store = Arc::new(MemoryStore::new());
            self.store = Some(Arc::clone(&store) as _);
            self.lifecycle.records = Some(store);
        }
    }

    fn hub(self, classify: ClassifyLayer, audit_queue: AuditQueue) -> Hub {
        let profiles = Arc::new(self.profiles);
        let store = self.store.expect("`build` has set one");
        let limiter = self.limiter.unwrap_or_else(|| Arc::new(MemoryLimiter::new()));
        let transports = match self.transports {
            none if none.is_empty() => Bearer::new().into(),
            transports => transports,
        };
        let enforcement = Enforcement::new(Arc::clone(&profiles), Arc::clone(&self.clock));
        let enforcement = enforcement
            .with_store(Arc::clone(&store))
            .with_lifecycle_store(self.lifecycle.records)
            .with_audit_queue(audit_queue.clone());
        let enforcement = Arc::new(enforcement);
        let mut authenticate = AuthenticateLayer::new(self.verifier.clone(), Arc::clone(&profiles))
            .transports(transports)
            .enforced_by(Arc::clone(&enforcement));
        let mut activity = ActivityLayer::with_store(Arc::clone(&profiles), store)
            .enforced_by(Arc::clone(&enforcement))
            .on_store_failure(self.on_failure)
            .unknown_sessions(self.unknown);
        if self.lifecycle.activity_log {
            activity = activity.log_activity();
        }
        if let Some(pattern) = &self.lifecycle.route_pattern {
            activity = activity.with_route_pattern(Arc::clone(pattern));
        }
        let mut renew = RenewLayer::new(Arc::clone(self.verifier.keys()), Arc::clone(&profiles))
            .delivery(self.delivery.clone())
            .with_renewal_limiter(limiter)
            .audit_queue(audit_queue)
            .with_clock(Arc::clone(&self.clock));
        if let Some(make) = self.rejections {
            authenticate = authenticate.with_rejections(Arc::clone(&make));
            activity = activity.with_rejections(make);
        }
        if self.optional {
            authenticate = authenticate.optional();
        }
        if self.allow_preflight {
            authenticate = authenticate.allow_preflight();
        }
        if let Some(source) = &self.claims {
            renew = renew.with_claims_source(Arc::clone(source));
        }
        if self.session_expires {
            renew = renew.session_expires();
        }
        Hub {
            lifecycle: Lifecycle {
                verifier: self.verifier,
                enforcement,
                claims: self.claims,
                reuse_grace: self.lifecycle.reuse_grace,
                bounds: self.lifecycle.bounds,
            },
            classify,
            authenticate,
            activity,
            renew,
            delivery: self.delivery,
            cookie: self.cookie,
            owner: self.lifecycle.owner,
            directory: self.lifecycle.directory,
        }
    }
}

impl fmt::Debug for SlidingSessionsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlidingSessionsBuilder(..)")
    }
}

/// Everything that is wrong with the settings.
#[derive(Debug)]
pub struct BuildError {
    problems: Vec<String>,
}

impl BuildError {
    /// Each problem, with what to change.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for BuildError {}
