//! The layer that checks and records activity.

use std::{fmt, sync::Arc};

use http::Extensions;
use tower_layer::Layer;

use super::{ActivityService, entry::RoutePattern, settings::ActivitySettings};
use crate::{
    audit::AuditQueue,
    clock::{Clock, SystemClock},
    policy::Profiles,
    rejection::MakeRejection,
    session::{Enforcement, OnStoreFailure, UnknownSessions},
    store::SessionStore,
    token::ClaimsSource,
};

/// Rejects requests of sessions that have expired or are revoked, and records the activity of the
/// others before the handler runs.
///
/// The store checks first and records second, in one atomic step: a request after the idle deadline
/// is no activity. `Background` requests are checked and not recorded. A request without a
/// [`Session`](crate::Session) passes unchanged.
///
/// ```
/// use std::time::Duration;
/// use http::{Extensions, Request, Response, StatusCode};
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{
///     Clock, ManualClock, Policy, Session, Timestamp, layers::ActivityLayer,
///     store::MemoryStore,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = ManualClock::new(Timestamp::from_secs(1_800_000_000));
/// let policy = Policy::builder().idle_timeout(Duration::from_secs(20 * 60)).build()?;
/// let mut service = ServiceBuilder::new()
///     .layer(
///         ActivityLayer::new(policy, MemoryStore::new()).clock(clock.clone()),
///     )
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     }));
///
/// let signed_in = clock.now();
/// let mut request = || -> Result<_, Box<dyn std::error::Error>> {
///     let session = Session::builder("ada").sid("s1").auth_time(signed_in).build()?;
///     Ok(Request::get("/").extension(session).body(())?)
/// };
/// clock.advance(Duration::from_secs(20 * 60 - 1));
/// let response = service.ready().await?.call(request()?).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// clock.advance(Duration::from_secs(20 * 60)); // twenty minutes without activity
/// let response = service.ready().await?.call(request()?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ActivityLayer {
    pub(crate) settings: Arc<ActivitySettings>,
}

impl ActivityLayer {
    /// Checks sessions by the policies `profiles`, and records their activity in `store`.
    pub fn new(profiles: impl Into<Arc<Profiles>>, store: impl SessionStore) -> Self {
        Self::with_store(profiles, Arc::new(store))
    }

    /// As [`new`](Self::new), with a store that is shared already.
    pub(crate) fn with_store(
        profiles: impl Into<Arc<Profiles>>,
        store: Arc<dyn SessionStore>,
    ) -> Self {
        let enforcement = Enforcement::new(profiles.into(), Arc::new(SystemClock));
        let enforcement = enforcement.with_store(Arc::clone(&store));
        Self {
            settings: Arc::new(ActivitySettings {
                enforcement: Arc::new(enforcement),
                store,
                rejections: None,
                logs_activity: false,
                route_pattern: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut ActivitySettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Shares the enforcement of other layers; it has the same store.
    pub(crate) fn enforced_by(self, enforcement: Arc<Enforcement>) -> Self {
        self.with(|settings| settings.enforcement = enforcement)
    }

    /// Default: [`SystemClock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with(|settings| Arc::make_mut(&mut settings.enforcement).clock = Arc::new(clock))
    }

    /// What happens to requests while the store fails, or does not answer within 250 ms. Default:
    /// [`OnStoreFailure::Reject`].
    pub fn on_store_failure(self, on_failure: OnStoreFailure) -> Self {
        self.with(|settings| {
            Arc::make_mut(&mut settings.enforcement).on_failure = on_failure;
        })
    }

    /// What happens to sessions that the store does not know. Default: [`UnknownSessions::Adopt`].
    pub fn unknown_sessions(self, unknown: UnknownSessions) -> Self {
        self.with(|settings| {
            Arc::make_mut(&mut settings.enforcement).unknown_sessions = unknown;
        })
    }

    /// Sets what makes the responses of rejections over plain HTTP. Default: problem details (RFC
    /// 9457).
    pub fn rejections(self, make: impl MakeRejection) -> Self {
        self.with_rejections(Arc::new(make))
    }

    /// As [`rejections`](Self::rejections), with what is shared already.
    pub(crate) fn with_rejections(self, make: Arc<dyn MakeRejection>) -> Self {
        self.with(|settings| settings.rejections = Some(make))
    }

    /// Asks `source` for the claims of each request whose token was minted before a
    /// [change of claims](crate::SlidingSessions::claims_changed): the handler sees the current ones. Share
    /// it with [`RenewLayer::claims_source`](super::super::RenewLayer::claims_source). Default: none is
    /// asked.
    pub fn claims_source(self, source: impl ClaimsSource) -> Self {
        self.with(|settings| {
            let enforcement = (*settings.enforcement).clone();
            settings.enforcement = Arc::new(enforcement.with_claims_source(Arc::new(source)));
        })
    }

    /// Records an audit event for each rejected session. Default: none.
    pub fn audit_queue(self, audit_queue: AuditQueue) -> Self {
        self.with(|settings| {
            Arc::make_mut(&mut settings.enforcement).audit_queue = Some(audit_queue);
        })
    }

    /// Also records an entry of the activity log for each request that counts as activity, and for
    /// each other one whose method is not `GET` or `HEAD`: time, method, route pattern, status, and the code of an inner rejection. Default: off.
    pub fn log_activity(self) -> Self {
        self.with(|settings| settings.logs_activity = true)
    }

    /// Sets how the route pattern of an activity entry is found, such as `/documents/{id}`: in the
    /// extensions that the router has left in the request. By default entries have none. The
    /// path itself is text of the client and never part of an entry.
    pub fn route_pattern<F>(self, pattern: F) -> Self
    where
        F: Fn(&Extensions) -> Option<String> + Send + Sync + 'static,
    {
        self.with_route_pattern(Arc::new(pattern))
    }

    /// As [`route_pattern`](Self::route_pattern), with a function that is shared already.
    pub(crate) fn with_route_pattern(self, pattern: Arc<RoutePattern>) -> Self {
        self.with(|settings| settings.route_pattern = Some(pattern))
    }
}

impl<S> Layer<S> for ActivityLayer {
    type Service = ActivityService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ActivityService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for ActivityLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivityLayer")
            .field("on_failure", &self.settings.enforcement.on_failure)
            .field("unknown", &self.settings.enforcement.unknown_sessions)
            .finish_non_exhaustive()
    }
}
