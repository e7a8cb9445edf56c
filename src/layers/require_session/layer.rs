//! The layer that requires a session.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::RequireSessionService;
use crate::rejection::MakeRejection;

/// Rejects requests without a [`Session`](crate::Session) as `missing_token`.
///
/// Every other layer passes such a request through. A team that inserts its own `Session`, or uses
/// an optional [`AuthenticateLayer`](crate::layers::AuthenticateLayer), puts this layer around the
/// routes that need a user.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_sliding_session::layers::RequireSessionLayer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = ServiceBuilder::new()
///     .layer(RequireSessionLayer::new())
///     .service(service_fn(async |_: Request<()>| {
///         Ok::<_, std::convert::Infallible>(Response::new(String::new()))
///     }));
/// let response = service.oneshot(Request::get("/").body(())?).await?;
/// assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
/// assert_eq!(response.headers()["www-authenticate"], "Bearer");
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct RequireSessionLayer {
    pub(super) rejections: Option<Arc<dyn MakeRejection>>,
}

impl RequireSessionLayer {
    /// Rejects requests of every class that have no session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what makes the responses of rejections over plain HTTP. Default: problem details (RFC
    /// 9457).
    pub fn rejections(mut self, make: impl MakeRejection) -> Self {
        self.rejections = Some(Arc::new(make));
        self
    }
}

impl fmt::Debug for RequireSessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequireSessionLayer(..)")
    }
}

impl<S> Layer<S> for RequireSessionLayer {
    type Service = RequireSessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireSessionService::new(inner, self.clone())
    }
}
