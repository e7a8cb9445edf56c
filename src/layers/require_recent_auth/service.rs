//! The service that requires a recent sign-in.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::RequireRecentAuthLayer;
use crate::{body::SessionBody, rejection::ResponseFuture, request_class::RequestHead};

/// The service of [`RequireRecentAuthLayer`].
#[derive(Clone, Debug)]
pub struct RequireRecentAuthService<S> {
    inner: S,
    layer: RequireRecentAuthLayer,
}

impl<S> RequireRecentAuthService<S> {
    pub(super) const fn new(inner: S, layer: RequireRecentAuthLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireRecentAuthService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let Some(rejection) = self.layer.rejection(request.extensions().get()) else {
            return ResponseFuture::inner(self.inner.call(request));
        };
        tracing::debug!(code = rejection.code(), "request rejected");
        let make = self.layer.rejections.as_deref();
        ResponseFuture::rejection(rejection.into_response(RequestHead::new(&request), make))
    }
}
