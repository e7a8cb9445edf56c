//! The service that requires a recent sign-in.

use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::RequireRecentAuthLayer;
use crate::{
    body::SessionBody,
    rejection::{Protocol, Rejection, RejectionFormat, ResponseFuture},
    session::Session,
};

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

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match request.extensions().get::<Session>() {
            Some(session) if self.layer.rejects(session) => {
                let rejection = Rejection::recent_authentication_required(self.layer.max_age);
                let protocol = Protocol::from_headers(request.headers());
                let speech = RejectionFormat { protocol, body: self.layer.rejections.as_deref() };
                ResponseFuture::rejection(rejection.into_response(&speech))
            }
            _ => ResponseFuture::inner(self.inner.call(request)),
        }
    }
}
