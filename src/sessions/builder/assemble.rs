//! Makes the layers and the lifecycle from the settings.

use std::sync::Arc;

use http::Method;

use super::{error::BuildError, settings::SlidingSessionsBuilder};
#[cfg(feature = "metrics")]
use crate::store::{MeasuredStore, RenewalLimiter};
use crate::{
    audit::{AuditQueue, AuditSink, TracingSink},
    layers::{ActivityLayer, AuthenticateLayer, ClassifyLayer, RenewLayer},
    lifecycle::Lifecycle,
    policy::Profiles,
    request_class::{
        Classify, CompiledPathRules, PathPattern, PathRules, PathRulesError, RequestClass,
        RequestHead, UserIfDeclared,
    },
    session::Enforcement,
    sessions::{Hub, SlidingSessions},
    store::{LifecycleStore, MemoryLimiter, MemoryStore, SessionLimit, SessionStore, StoreLog},
    transport::Bearer,
};

/// The ready-made routes without a session.
const PUBLIC_ROUTES: [&str; 5] =
    ["/refresh", "/config", "/session.js", "/session-streams.js", "/session-warning.js"];

/// The path rules, and those of the ready-made route `session` alone.
#[derive(Default)]
struct CompiledRules {
    all: Option<CompiledPathRules>,
    session: Option<CompiledPathRules>,
}

impl SlidingSessionsBuilder {
    /// Builds the sessions.
    ///
    /// Logs a warning for each setting that is legal but surprising.
    ///
    /// # Errors
    /// Lists every problem, each with what to change: settings that are set twice, contradict each
    /// other or are out of bounds.
    pub fn build(mut self) -> Result<SlidingSessions, BuildError> {
        let mut problems = self.find_problems();
        let rules = self.compiled_rules().unwrap_or_else(|rule_problems| {
            problems.extend(rule_problems);
            CompiledRules::default()
        });
        if !problems.is_empty() {
            return Err(BuildError::new(problems));
        }
        self.log_warnings();
        let description = self.describe();
        let classify = self.classify_layer(rules);
        Ok(SlidingSessions { hub: Arc::new(self.hub(classify, description)) })
    }

    fn compiled_rules(&mut self) -> Result<CompiledRules, Vec<String>> {
        let problems = |error: PathRulesError| error.problems().to_vec();
        let Some(at) = &self.router_at else {
            let all = self.path_rules.take().map(PathRules::compile).transpose();
            return Ok(CompiledRules { all: all.map_err(problems)?, session: None });
        };
        let rules = self.path_rules.take().unwrap_or_default();
        let session = || PathPattern::from(format!("{at}/session")).method(Method::GET);
        let only_session = rules.without_rules().background(session());
        let public = |rules: PathRules, route| rules.public(format!("{at}{route}"));
        let rules = PUBLIC_ROUTES.into_iter().fold(rules, public).background(session());
        let all = Some(rules.compile().map_err(problems)?);
        Ok(CompiledRules { all, session: Some(only_session.compile().map_err(problems)?) })
    }

    fn classify_layer(&mut self, rules: CompiledRules) -> ClassifyLayer {
        let CompiledRules { all, session } = rules;
        let classes: Option<Arc<dyn Classify>> = match (all, self.classify.take()) {
            (Some(rules), Some(second)) => Some(Arc::new(rules.otherwise(second))),
            (Some(rules), None) => Some(Arc::new(rules)),
            (None, classify) => classify,
        };
        let activity = self.activity;
        let layer = match (classes, session) {
            (Some(classes), Some(routes)) => ClassifyLayer::new(UserIfDeclared { classes, routes }),
            (Some(classes), None) => ClassifyLayer::new(classes),
            (None, _) => ClassifyLayer::new(|_: RequestHead<'_>| RequestClass::User),
        };
        layer.activity(activity)
    }

    /// The store of the layers, and the store of the lifecycle if there is one.
    fn stores(&mut self) -> (Arc<dyn SessionStore>, Option<Arc<dyn LifecycleStore>>) {
        #[cfg(feature = "metrics")]
        {
            if let Some(store) = self.store.take() {
                self.store = Some(Arc::new(MeasuredStore::new(store)));
            }
            if let Some(store) = self.lifecycle_store.take() {
                self.lifecycle_store = Some(Arc::new(MeasuredStore::new(store)));
            }
        }
        match (self.store.take(), self.lifecycle_store.take()) {
            (Some(store), _) => (store, None),
            (None, Some(store)) => (Arc::clone(&store) as _, Some(store)),
            (None, None) => {
                let store = Arc::new(MemoryStore::new());
                (Arc::clone(&store) as _, Some(store))
            }
        }
    }

    /// Returns the queue for every sink: `tracing`, the log of the lifecycle store, and the app's.
    fn audit_queue(&mut self, lifecycle_store: Option<&Arc<dyn LifecycleStore>>) -> AuditQueue {
        let mut sinks: Vec<Arc<dyn AuditSink>> = vec![Arc::new(TracingSink)];
        sinks.append(&mut self.audit_sinks);
        let queue = match lifecycle_store {
            Some(store) => AuditQueue::with_store_log(Arc::new(StoreLog(Arc::clone(store))), sinks),
            None => AuditQueue::new(sinks),
        };
        if self.audit_plain_subjects { queue.plain_subjects() } else { queue }
    }

    fn hub(mut self, classify: ClassifyLayer, description: String) -> Hub {
        let (store, lifecycle_store) = self.stores();
        let audit_queue = self.audit_queue(lifecycle_store.as_ref());
        let mut profiles = self.profiles.clone();
        if self.override_bounds.allows_longer_than_policy() {
            profiles = profiles.lengthened_by_overrides();
        }
        let bounds = self.override_bounds.clone().for_policy(profiles.normal());
        let profiles = Arc::new(profiles);
        let session_limit = self
            .max_sessions
            .map(|(max, on_limit)| SessionLimit::new(max, on_limit, profiles.widest_clock_skew()));
        let enforcement = Enforcement::new(Arc::clone(&profiles), Arc::clone(&self.clock))
            .with_store(Arc::clone(&store))
            .with_unknown_sessions(self.unknown_sessions)
            .with_on_failure(self.on_store_failure)
            .with_lifecycle_store(lifecycle_store)
            .with_audit_queue(audit_queue.clone())
            .with_cookie(self.transports.cookie().cloned());
        let enforcement = Arc::new(match &self.claims_source {
            Some(source) => enforcement.with_claims_source(Arc::clone(source)),
            None => enforcement,
        });
        if self.transports.is_empty() {
            self.transports = Bearer::new().into();
        }
        Hub {
            classify,
            authenticate: self.authenticate_layer(&profiles, &enforcement),
            activity: self.activity_layer(&profiles, store, &enforcement),
            renew: self.renew_layer(profiles, audit_queue),
            lifecycle: Lifecycle {
                reuse_grace: self.effective_reuse_grace(),
                verifier: self.verifier,
                enforcement,
                claims: self.claims_source,
                bounds,
                limits: self.delivery.limits(&self.transports),
                session_limit,
                activity: self.activity,
            },
            delivery: self.delivery,
            cookie: self.cookie,
            owner: self.account_owner,
            directory: self.user_directory,
            description,
        }
    }

    fn authenticate_layer(
        &self,
        profiles: &Arc<Profiles>,
        enforcement: &Arc<Enforcement>,
    ) -> AuthenticateLayer {
        let mut layer = AuthenticateLayer::new(self.verifier.clone(), Arc::clone(profiles))
            .transports(self.transports.clone())
            .enforced_by(Arc::clone(enforcement));
        if let Some(make) = &self.rejections {
            layer = layer.with_rejections(Arc::clone(make));
        }
        if self.optional {
            layer = layer.optional();
        }
        if self.allow_preflight {
            layer = layer.allow_preflight();
        }
        if let Some(store) = enforcement.lifecycle_store().filter(|_| self.tickets) {
            layer = layer.with_tickets(Arc::clone(store));
        }
        layer
    }

    fn activity_layer(
        &self,
        profiles: &Arc<Profiles>,
        store: Arc<dyn SessionStore>,
        enforcement: &Arc<Enforcement>,
    ) -> ActivityLayer {
        let mut layer = ActivityLayer::with_store(Arc::clone(profiles), store)
            .enforced_by(Arc::clone(enforcement));
        if let Some(make) = &self.rejections {
            layer = layer.with_rejections(Arc::clone(make));
        }
        if self.activity_log {
            layer = layer.log_activity();
        }
        if let Some(pattern) = &self.route_pattern {
            layer = layer.with_route_pattern(Arc::clone(pattern));
        }
        layer
    }

    fn renew_layer(&mut self, profiles: Arc<Profiles>, audit_queue: AuditQueue) -> RenewLayer {
        let limiter = self.renewal_limiter.take();
        #[cfg(feature = "metrics")]
        let limiter = limiter.map(|it| Arc::new(MeasuredStore::new(it)) as Arc<dyn RenewalLimiter>);
        let mut layer = RenewLayer::new(Arc::clone(self.verifier.keys()), profiles)
            .delivery(self.delivery.clone())
            .with_renewal_limiter(limiter.unwrap_or_else(|| Arc::new(MemoryLimiter::new())))
            .audit_queue(audit_queue)
            .with_clock(Arc::clone(&self.clock));
        if let Some(source) = &self.claims_source {
            layer = layer.with_claims_source(Arc::clone(source));
        }
        if self.session_expires {
            layer = layer.session_expires();
        }
        layer
    }
}
