//! Lets a browser's scripts read this crate's response headers.

mod future;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tower_layer::Layer;
use tower_service::Service;

pub use self::future::ResponseFuture;

/// Adds names to `Access-Control-Expose-Headers` of responses to requests with an `Origin`.
///
/// What stands there stays, in its order; a name that stands there in any case is not repeated.
/// Names are listed one by one, for `*` is no wildcard where credentials are sent (Fetch
/// standard). It goes *outside* a `CorsLayer` that sets expose-headers, since that one replaces
/// what it finds.
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

#[derive(Debug)]
pub(crate) struct Exposed {
    names: Vec<HeaderName>,
    /// The names as a whole value, for the common response that exposes nothing yet.
    value: HeaderValue,
}

impl ExposeHeadersLayer {
    /// Exposes `names`.
    pub fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Vec<HeaderName> = names.into_iter().collect();
        let value = join(names.iter().map(HeaderName::as_str));
        Self { exposed: Arc::new(Exposed { names, value }) }
    }

    /// What the response to a request is given, by whether it `has_origin`.
    #[inline(always)]
    pub(crate) fn asked_for(&self, has_origin: bool) -> Option<Arc<Exposed>> {
        has_origin.then(|| Arc::clone(&self.exposed))
    }
}

impl Exposed {
    pub(crate) fn expose(&self, headers: &mut HeaderMap) {
        if self.names.is_empty() {
            return;
        }
        if !headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.value.clone());
            return;
        }
        let present: Vec<HeaderValue> =
            headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().cloned().collect();
        let mut listed: Vec<&str> = Vec::new();
        for value in &present {
            // A value that is no text cannot be merged: leave the response as it is.
            let Ok(text) = value.to_str() else { return };
            listed.extend(text.split(',').map(str::trim).filter(|name| !name.is_empty()));
        }
        let missing = self
            .names
            .iter()
            .map(HeaderName::as_str)
            .filter(|name| !listed.iter().any(|listed| listed.eq_ignore_ascii_case(name)));
        let mut merged: Vec<&str> = Vec::new();
        for name in listed.iter().copied().chain(missing) {
            if !merged.iter().any(|merged| merged.eq_ignore_ascii_case(name)) {
                merged.push(name);
            }
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, join(merged.into_iter()));
    }
}

/// The headers that clients of a stack read, whatever its settings: to them comes the header of
/// renewed tokens.
pub(crate) fn always_exposed() -> [HeaderName; 6] {
    [
        HeaderName::from_static("session-expires"),
        crate::rejection::SESSION_ERROR,
        WWW_AUTHENTICATE,
        RETRY_AFTER,
        HeaderName::from_static("grpc-status"),
        HeaderName::from_static("grpc-message"),
    ]
}

fn join<'a>(names: impl Iterator<Item = &'a str>) -> HeaderValue {
    let joined = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(joined).expect("names that were headers are one again")
}

impl<S> Layer<S> for ExposeHeadersLayer {
    type Service = ExposeHeadersService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ExposeHeadersService { inner, layer: self.clone() }
    }
}

/// The service of [`ExposeHeadersLayer`].
#[derive(Clone, Debug)]
pub struct ExposeHeadersService<S> {
    inner: S,
    layer: ExposeHeadersLayer,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ExposeHeadersService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let exposed = self.layer.asked_for(request.headers().contains_key(ORIGIN));
        ResponseFuture::new(self.inner.call(request), exposed)
    }
}
