//! The service that renews tokens.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{RenewalContext, ResponseFuture, settings::RenewSettings};
use crate::{request_class::RequestHeaders, session::Session};

/// The service of [`RenewLayer`](super::RenewLayer).
#[derive(Clone)]
pub struct RenewService<S> {
    inner: S,
    settings: Arc<RenewSettings>,
}

impl<S> RenewService<S> {
    pub(super) const fn new(inner: S, settings: Arc<RenewSettings>) -> Self {
        Self { inner, settings }
    }
}

impl<S> fmt::Debug for RenewService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RenewService(..)")
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for RenewService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        let renewal = session.map(|session| {
            let is_conditional = RequestHeaders::new(request.headers()).is_conditional;
            RenewalContext::new(session, &mut request, is_conditional, &self.settings)
        });
        ResponseFuture::new(self.inner.call(request), renewal)
    }
}
