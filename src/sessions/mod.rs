//! The hub: builds the stack of layers, and offers sign-in, refresh and revocation.

mod builder;
mod client_config;
mod future;
mod layer;
mod lifecycle;
mod service;

#[cfg(feature = "axum-router")]
use std::time::Duration;
use std::{fmt, sync::Arc};

use http::{HeaderName, header::CONTENT_TYPE};

use self::{builder::IsOwner, layer::Layers};
pub use self::{
    builder::{BuildError, SlidingSessionsBuilder},
    client_config::{ClientConfig, Features},
    future::ResponseFuture,
    layer::SlidingSessionsLayer,
    service::SlidingSessionsService,
};
#[cfg(feature = "axum-router")]
use crate::clock::Sleep;
use crate::{
    layers::{ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer},
    lifecycle::{Lifecycle, UserDirectory},
    policy::{Policy, Profiles},
    request_class::SESSION_ACTIVITY,
    session::Session,
    token::JwtKeys,
    transport::{SessionCookie, TokenDelivery},
};

/// The sliding sessions of a service: the stack of layers, sign-in, refresh and revocation.
///
/// Cheap to clone. Keep it in the application's state, and add [`layer`](Self::layer) to the routes.
///
/// ```
/// use std::time::Duration;
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{JwtKeys, Policy, Session, SlidingSessions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::builder().idle_timeout(Duration::from_secs(20 * 60)).build()?;
/// let sessions = SlidingSessions::builder(JwtKeys::hs256([7; 32])?, policy).build()?;
/// let service = ServiceBuilder::new().layer(sessions.layer()).service(service_fn(
///     async |request: Request<()>| {
///         let session = request.extensions().get::<Session>().expect("authenticated");
///         Ok::<_, std::convert::Infallible>(Response::new(session.subject().to_owned()))
///     },
/// ));
///
/// let grant = sessions.start("ada").await?;
/// let bearer = format!("Bearer {}", grant.access_token());
/// let request = Request::get("/me").header("authorization", bearer).body(())?;
/// assert_eq!(service.oneshot(request).await?.status(), StatusCode::OK);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SlidingSessions {
    hub: Arc<Hub>,
}

struct Hub {
    lifecycle: Lifecycle,
    classify: ClassifyLayer,
    authenticate: AuthenticateLayer,
    activity: ActivityLayer,
    renew: RenewLayer,
    delivery: TokenDelivery,
    cookie: Option<SessionCookie>,
    owner: Option<Arc<IsOwner>>,
    directory: Option<Arc<dyn UserDirectory>>,
    description: String,
}

impl SlidingSessions {
    /// Returns a builder of sessions whose tokens `keys` sign and whose timeouts `policy` sets.
    pub fn builder(keys: impl Into<Arc<JwtKeys>>, policy: Policy) -> SlidingSessionsBuilder {
        SlidingSessionsBuilder::new(keys.into(), policy)
    }

    /// Returns the whole stack as one layer. It rejects a request without a valid token.
    ///
    /// Add a `CorsLayer` *outside* it; otherwise browsers cannot read its rejections.
    pub fn layer(&self) -> SlidingSessionsLayer {
        SlidingSessionsLayer::new(Layers {
            expose: ExposeHeadersLayer::new(self.exposed_headers()),
            classify: self.hub.classify.clone(),
            authenticate: self.hub.authenticate.clone(),
            activity: self.hub.activity.clone(),
            renew: self.hub.renew.clone(),
        })
    }

    /// Returns the response headers that the scripts of a browser need to read, for `expose_headers` of
    /// a `CorsLayer`.
    #[must_use]
    pub fn exposed_headers(&self) -> Vec<HeaderName> {
        let mut names = vec![self.hub.delivery.header_name().clone()];
        names.extend(crate::layers::expose_headers::always_exposed());
        names
    }

    /// Returns the request headers that the scripts of a browser need to send, for `allow_headers` of a
    /// `CorsLayer`: those of tokens, `Session-Activity`, and `Content-Type` for JSON.
    #[must_use]
    pub fn request_headers(&self) -> Vec<HeaderName> {
        let mut names: Vec<_> = self.hub.authenticate.request_headers().collect();
        names.extend([SESSION_ACTIVITY, CONTENT_TYPE]);
        names
    }

    /// Clears the cache of verified tokens: each token is verified again at its next request.
    pub fn clear_cached_tokens(&self) {
        self.hub.lifecycle.verifier.clear_cache();
    }

    /// Returns the cookie of the cookie transport, if it is used, for sign-in and sign-out handlers.
    #[must_use]
    pub fn cookie(&self) -> Option<&SessionCookie> {
        self.hub.cookie.as_ref()
    }

    /// Whether the user of `session` owns its account, according to the
    /// [predicate](SlidingSessionsBuilder::account_owner). False without a predicate, and for a session
    /// of another issuer: an account of ours may have the same name (P35).
    #[must_use]
    pub fn is_owner(&self, session: &Session) -> bool {
        let is_ours = || self.session_key(session.id()) == session.token().session_key();
        self.hub.owner.as_ref().is_some_and(|is_owner| is_owner(session) && is_ours())
    }

    /// Completes after `duration`, by the clock of the sessions.
    #[cfg(feature = "axum-router")]
    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        let clock = &self.hub.lifecycle.enforcement.clock;
        clock.sleep_until(clock.now() + duration)
    }

    /// Returns [`Policy::describe`] for each profile, and a line for each setting that is legal but
    /// surprising: what [`build`](SlidingSessionsBuilder::build) logs as a warning.
    ///
    /// The wording may change with any version.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.hub.description
    }

    /// Returns the policies by profile.
    #[must_use]
    pub fn profiles(&self) -> &Profiles {
        &self.hub.lifecycle.enforcement.profiles
    }
}

impl fmt::Debug for SlidingSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlidingSessions")
            .field("profiles", &self.hub.lifecycle.enforcement.profiles)
            .field("delivery", &self.hub.delivery)
            .finish_non_exhaustive()
    }
}
