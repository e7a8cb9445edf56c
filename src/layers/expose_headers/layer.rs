//! The layer that exposes response headers to scripts.

use std::sync::Arc;

use http::HeaderName;
use tower_layer::Layer;

use super::{ExposeHeadersService, Exposed};

/// Adds names to `Access-Control-Expose-Headers` of responses to requests with an `Origin`.
///
/// Names in the response stay, in their order, and are not repeated in another case. Names are
/// listed one by one: `*` is no wildcard in a request with credentials (Fetch standard). Put this
/// layer *outside* a `CorsLayer` that sets expose-headers: that layer replaces the header.
///
/// ```
/// use http::{HeaderName, Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::layers::ExposeHeadersLayer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = ServiceBuilder::new()
///     .layer(ExposeHeadersLayer::new([HeaderName::from_static("x-refreshed-token")]))
///     .service(service_fn(async |_: Request<()>| {
///         Response::builder().header("access-control-expose-headers", "X-Request-Id").body(())
///     }));
/// let request = Request::get("/").header("origin", "https://app.example").body(())?;
/// let response = service.oneshot(request).await?;
/// assert_eq!(
///     response.headers()["access-control-expose-headers"],
///     "X-Request-Id, x-refreshed-token",
/// );
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ExposeHeadersLayer {
    exposed: Arc<Exposed>,
}

impl ExposeHeadersLayer {
    /// Exposes `names`.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self { exposed: Arc::new(Exposed::new(names)) }
    }

    /// The names to add to the response, if the request has an `Origin`.
    #[inline(always)]
    pub(crate) fn asked_for(&self, has_origin: bool) -> Option<Arc<Exposed>> {
        has_origin.then(|| Arc::clone(&self.exposed))
    }
}

impl<S> Layer<S> for ExposeHeadersLayer {
    type Service = ExposeHeadersService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExposeHeadersService::new(inner, self.clone())
    }
}
