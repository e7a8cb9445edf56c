//! The service that checks and records activity.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{Check, ResponseFuture, Waiting, settings::ActivitySettings};
use crate::{
    body::SessionBody, ready_service::take_ready, request_class::RequestClass, session::Session,
};

/// The service of [`ActivityLayer`](super::ActivityLayer).
#[derive(Clone)]
pub struct ActivityService<S> {
    inner: S,
    settings: Arc<ActivitySettings>,
}

impl<S> ActivityService<S> {
    pub(super) const fn new(inner: S, settings: Arc<ActivitySettings>) -> Self {
        Self { inner, settings }
    }
}

impl<S> fmt::Debug for ActivityService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivityService(..)")
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for ActivityService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Some(session) = request.extensions().get::<Session>() else {
            return ResponseFuture::inner(self.inner.call(request));
        };
        match self.settings.check(session, &request, false) {
            Check::Passed(entry) => {
                let is_public = session.class(&request) == RequestClass::Public;
                let session = Some(session).filter(|_| !is_public).cloned();
                ResponseFuture::checked(self.inner.call(request), entry, session)
            }
            Check::Rejected(rejection) if session.counts_as_absent(&rejection) => {
                request.extensions_mut().remove::<Session>();
                ResponseFuture::inner(self.inner.call(request))
            }
            Check::Rejected(rejection) => {
                let response = self.settings.reject(rejection, &request);
                ResponseFuture::answer(response)
            }
            Check::Waiting(pending) => {
                let session = session.clone();
                let service = take_ready(&mut self.inner);
                let settings = Arc::clone(&self.settings);
                ResponseFuture::waiting(Waiting { pending, session, request, service, settings })
            }
        }
    }
}
