//! The layer that authenticates requests.

use std::{fmt, sync::Arc};

use http::HeaderName;
use tower_layer::Layer;

use super::{AuthenticateService, settings::AuthenticateSettings};
use crate::{
    audit::AuditQueue,
    clock::{Clock, SystemClock},
    policy::Profiles,
    rejection::MakeRejection,
    session::Enforcement,
    store::{LifecycleStore, SessionStore},
    token::TokenVerifier,
    transport::{Bearer, Transports},
};

/// Verifies the presented token and inserts its [`Session`](crate::Session) into the extensions of the request.
/// Rejects the request if the token is invalid or has expired, or if there is none.
///
/// This layer checks `exp` and the absolute deadline. If one of them has passed it asks the
/// [store](Self::store), so that a session that was revoked or idle before gets that reason. It
/// does not authenticate `Public` requests; `OPTIONS` is authenticated like any other method.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{
///     Policy, Profiles, layers::AuthenticateLayer, token::{JwtKeys, TokenVerifier},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let verifier = TokenVerifier::new(Arc::new(JwtKeys::hs256([7; 32])?));
/// let profiles = Profiles::new(Policy::builder().build()?);
/// let service = ServiceBuilder::new()
///     .layer(AuthenticateLayer::new(verifier, profiles))
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     }));
/// let response = service.oneshot(Request::get("/").body(())?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct AuthenticateLayer {
    pub(crate) settings: Arc<AuthenticateSettings>,
}

impl AuthenticateLayer {
    /// Requires a bearer token that `verifier` accepts, under the policies `profiles`.
    pub fn new(verifier: TokenVerifier, profiles: impl Into<Arc<Profiles>>) -> Self {
        Self {
            settings: Arc::new(AuthenticateSettings {
                verifier,
                enforcement: Arc::new(Enforcement::new(profiles.into(), Arc::new(SystemClock))),
                transports: Bearer::new().into(),
                rejections: None,
                optional: false,
                allow_preflight: false,
                tickets: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut AuthenticateSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Where tokens are read: one transport, or several in this order. Default: [`Bearer`].
    pub fn transports(self, transports: impl Into<Transports>) -> Self {
        self.with(|settings| {
            settings.transports = transports.into();
            let cookie = settings.transports.cookie().cloned();
            let enforcement = Enforcement::clone(&settings.enforcement).with_cookie(cookie);
            settings.enforcement = Arc::new(enforcement);
        })
    }

    /// The store to ask why a session ended, where its token has expired. Default: none.
    pub fn store(self, store: impl SessionStore) -> Self {
        self.with(|settings| {
            let enforcement = Enforcement::clone(&settings.enforcement).with_store(Arc::new(store));
            settings.enforcement = Arc::new(enforcement);
        })
    }

    /// Shares the enforcement of other layers.
    pub(crate) fn enforced_by(self, enforcement: Arc<Enforcement>) -> Self {
        self.with(|settings| settings.enforcement = enforcement)
    }

    /// Default: [`SystemClock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with(|settings| Arc::make_mut(&mut settings.enforcement).clock = Arc::new(clock))
    }

    /// Sets what makes the responses of rejections over plain HTTP. Default: problem details (RFC
    /// 9457).
    pub fn rejections(self, make: impl MakeRejection) -> Self {
        self.with_rejections(Arc::new(make))
    }

    /// The request headers that scripts put tokens in.
    pub(crate) fn request_headers(&self) -> impl Iterator<Item = HeaderName> {
        self.settings.transports.request_headers()
    }

    /// As [`rejections`](Self::rejections), with what is shared already.
    pub(crate) fn with_rejections(self, make: Arc<dyn MakeRejection>) -> Self {
        self.with(|settings| settings.rejections = Some(make))
    }

    /// Records an audit event for each rejected token with a valid signature. Default: none.
    pub fn audit_queue(self, audit_queue: AuditQueue) -> Self {
        self.with(|settings| {
            Arc::make_mut(&mut settings.enforcement).audit_queue = Some(audit_queue);
        })
    }

    /// Accepts [tickets](crate::SlidingSessions::ticket) in the query parameter `ticket`, which `store`
    /// closes when they are used. Default: none.
    pub fn tickets(self, store: impl LifecycleStore) -> Self {
        self.with_tickets(Arc::new(store))
    }

    /// As [`tickets`](Self::tickets), with what is shared already.
    pub(crate) fn with_tickets(self, store: Arc<dyn LifecycleStore>) -> Self {
        self.with(|settings| settings.tickets = Some(store))
    }

    pub(crate) fn accepts_tickets(&self) -> bool {
        self.settings.tickets.is_some()
    }

    /// Passes requests without a token on, without a `Session`. A token in a cookie that is invalid,
    /// expired or revoked counts as none, also for the layers inside; one in a header is rejected.
    pub fn optional(self) -> Self {
        self.with(|settings| settings.optional = true)
    }

    /// Answers CORS preflights with 204. Default: off, since a `CorsLayer` outside answers them
    /// first. The headers that allow an origin are added outside in any case.
    pub fn allow_preflight(self) -> Self {
        self.with(|settings| settings.allow_preflight = true)
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = AuthenticateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthenticateService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for AuthenticateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateLayer")
            .field("transports", &self.settings.transports)
            .field("optional", &self.settings.optional)
            .finish_non_exhaustive()
    }
}
