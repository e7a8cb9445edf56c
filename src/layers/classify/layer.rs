//! The layer that classifies requests.

use std::{fmt, sync::Arc};

use http::Request;
use tower_layer::Layer;

use super::ClassifyService;
use crate::request_class::{Activity, Classify, RequestClass, RequestHead, named_or_declared};

/// Inserts the [`RequestClass`] that a [`Classify`] names into the request's extensions.
///
/// For `User` it inserts nothing: absent means `User`. The layers that read the class lower it for
/// `OPTIONS` and for the header `Session-Activity: background`, with or without this layer. Under
/// [`Activity::Declared`] it inserts `Background` for every request that no path rule and no
/// `Session-Activity: user` makes `User`.
///
/// ```
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::{
///     RequestClass, layers::ClassifyLayer, request_class::{PathRules, subtree},
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rules = PathRules::new().public("/login").background(subtree("/poll")).compile()?;
/// let service = ServiceBuilder::new().layer(ClassifyLayer::new(rules)).service(service_fn(
///     async |request: Request<()>| {
///         let class = request.extensions().get::<RequestClass>().copied();
///         Ok::<_, std::convert::Infallible>(Response::new(class))
///     },
/// ));
/// let response = service.oneshot(Request::get("/poll/7").body(())?).await?;
/// assert_eq!(response.into_body(), Some(RequestClass::Background));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClassifyLayer {
    classify: Arc<dyn Classify>,
    activity: Activity,
}

impl ClassifyLayer {
    /// Classifies requests by `classify`.
    pub fn new(classify: impl Classify) -> Self {
        Self { classify: Arc::new(classify), activity: Activity::default() }
    }

    /// Sets which requests are activity where no path rule says so.
    /// [`Activity::Requests`] by default.
    #[must_use]
    pub const fn activity(mut self, activity: Activity) -> Self {
        self.activity = activity;
        self
    }

    /// The class of `request`.
    #[inline(always)]
    pub(crate) fn classify<B>(&self, request: &Request<B>) -> RequestClass {
        match self.activity {
            Activity::Requests => self.classify.classify(RequestHead::new(request)),
            Activity::Declared => self.declared_class(request),
        }
    }

    /// An outer layer may have assigned a class: only `Background` and `Public` replace it.
    fn declared_class<B>(&self, request: &Request<B>) -> RequestClass {
        let named = named_or_declared(&*self.classify, RequestHead::new(request));
        let assigned = || request.extensions().get().copied();
        named.or_else(assigned).unwrap_or(RequestClass::Background)
    }
}

/// Inserts `class` into the extensions of `request`, unless it is `User`.
#[inline(always)]
pub(crate) fn assign<B>(class: RequestClass, request: &mut Request<B>) {
    if class != RequestClass::User {
        request.extensions_mut().insert(class);
    }
}

impl<S> Layer<S> for ClassifyLayer {
    type Service = ClassifyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClassifyService::new(inner, self.clone())
    }
}

impl fmt::Debug for ClassifyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClassifyLayer(..)")
    }
}
