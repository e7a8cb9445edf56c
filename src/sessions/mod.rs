//! The hub: builds the stack of layers, and offers the session's life around it.

mod builder;
mod client_config;
mod future;
mod layer;
mod lifecycle;
mod lifecycle_settings;
mod service;

use std::{fmt, sync::Arc};

use http::HeaderName;

use self::layer::Layers;
pub use self::{
    builder::{BuildError, SlidingSessionsBuilder},
    client_config::{ClientConfig, Features},
    future::ResponseFuture,
    layer::SlidingSessionsLayer,
    service::SlidingSessionsService,
};
use crate::{
    layers::{ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer},
    lifecycle::{Lifecycle, UserDirectory},
    policy::{Policy, Profiles},
    session::Session,
    token::JwtKeys,
    transport::{SessionCookie, TokenDelivery},
};

/// Sliding sessions for one service: the layers' settings, and `start` and `end`.
///
/// Cheap to clone; keep it in your app's state, and put [`layer`](Self::layer) around the routes.
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
}

/// Who may decide for an account.
type IsOwner = dyn Fn(&Session) -> bool + Send + Sync;

impl SlidingSessions {
    /// Sessions whose tokens `keys` sign and whose limits `policy` sets.
    pub fn builder(keys: impl Into<Arc<JwtKeys>>, policy: Policy) -> SlidingSessionsBuilder {
        SlidingSessionsBuilder::new(keys.into(), policy)
    }

    /// The whole stack as one layer: requests without a good token are rejected.
    ///
    /// Put a `CorsLayer` *outside* it, or browsers cannot read its rejections.
    pub fn layer(&self) -> SlidingSessionsLayer {
        SlidingSessionsLayer::new(Layers {
            expose: ExposeHeadersLayer::new(self.exposed_headers()),
            classify: self.hub.classify.clone(),
            authenticate: self.hub.authenticate.clone(),
            activity: self.hub.activity.clone(),
            renew: self.hub.renew.clone(),
        })
    }

    /// The response headers that a browser's scripts need: for a `CorsLayer`'s expose-headers.
    #[must_use]
    pub fn exposed_headers(&self) -> Vec<HeaderName> {
        let mut names = vec![self.hub.delivery.header_name().clone()];
        names.extend(crate::layers::expose_headers::always_exposed());
        names
    }

    /// Forgets all tokens that were verified so far: each is verified anew when it next comes.
    pub fn clear_cached_tokens(&self) {
        self.hub.lifecycle.verifier.clear_cache();
    }

    /// The cookie of the cookie transport, if it is on: for sign-in and sign-out handlers.
    #[must_use]
    pub fn cookie(&self) -> Option<&SessionCookie> {
        self.hub.cookie.as_ref()
    }

    /// Whether the user of `session` may decide for its account, as the
    /// [predicate](SlidingSessionsBuilder::account_owner) says; nobody may without one.
    #[must_use]
    pub fn is_owner(&self, session: &Session) -> bool {
        self.hub.owner.as_ref().is_some_and(|is_owner| is_owner(session))
    }

    /// The policies in force.
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
