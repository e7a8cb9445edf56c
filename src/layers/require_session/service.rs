//! The service that requires a session.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::RequireSessionLayer;
use crate::{
    body::SessionBody,
    rejection::{Rejection, RejectionKind, ResponseFuture},
    request_class::RequestHead,
    session::Session,
};

/// The service of [`RequireSessionLayer`].
#[derive(Clone, Debug)]
pub struct RequireSessionService<S> {
    inner: S,
    layer: RequireSessionLayer,
}

impl<S> RequireSessionService<S> {
    pub(super) const fn new(inner: S, layer: RequireSessionLayer) -> Self {
        Self { inner, layer }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RequireSessionService<S>
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
        if request.extensions().get::<Session>().is_some() {
            return ResponseFuture::inner(self.inner.call(request));
        }
        tracing::debug!("rejected: the request has no session");
        let rejection = Rejection::from(RejectionKind::MissingToken);
        let make = self.layer.rejections.as_deref();
        ResponseFuture::rejection(rejection.into_response(RequestHead::new(&request), make))
    }
}
