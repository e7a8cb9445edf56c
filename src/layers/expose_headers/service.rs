//! The service that exposes response headers to scripts.

use std::task::{Context, Poll};

use http::{Request, Response, header::ORIGIN};
use tower_service::Service;

use super::{ExposeHeadersLayer, ResponseFuture};

/// The service of [`ExposeHeadersLayer`].
#[derive(Clone, Debug)]
pub struct ExposeHeadersService<S> {
    inner: S,
    layer: ExposeHeadersLayer,
}

impl<S> ExposeHeadersService<S> {
    pub(super) const fn new(inner: S, layer: ExposeHeadersLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ExposeHeadersService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let exposed = self.layer.asked_for(request.headers().contains_key(ORIGIN));
        ResponseFuture::new(self.inner.call(request), exposed)
    }
}
