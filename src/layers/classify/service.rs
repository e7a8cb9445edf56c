//! The service that classifies requests.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::Request;
use tower_service::Service;

use super::{ClassifyLayer, assign};

/// The service of [`ClassifyLayer`].
#[derive(Clone)]
pub struct ClassifyService<S> {
    inner: S,
    layer: ClassifyLayer,
}

impl<S> ClassifyService<S> {
    pub(super) const fn new(inner: S, layer: ClassifyLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, ReqBody> Service<Request<ReqBody>> for ClassifyService<S>
where
    S: Service<Request<ReqBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> S::Future {
        assign(self.layer.classify(&request), &mut request);
        self.inner.call(request)
    }
}

impl<S> fmt::Debug for ClassifyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClassifyService(..)")
    }
}
