//! The service that counts what a client sends on a stream.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{ActivityBody, ResponseFuture, settings::StreamActivitySettings};
use crate::{
    body::SessionBody,
    rejection::Protocol,
    request_class::{RequestClass, RequestHead},
    session::Session,
};

/// The service of [`StreamActivityLayer`](super::StreamActivityLayer).
#[derive(Clone)]
pub struct StreamActivityService<S> {
    inner: S,
    settings: StreamActivitySettings,
}

impl<S> StreamActivityService<S> {
    pub(super) const fn new(inner: S, settings: StreamActivitySettings) -> Self {
        Self { inner, settings }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for StreamActivityService<S>
where
    S: Service<Request<ActivityBody<ReqBody>>, Response = Response<ResBody>>,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        let session = session.map(|session| (session.class(&request), session));
        let session = session.filter(|(class, _)| *class != RequestClass::Public);
        let Some((class, session)) = session else {
            return ResponseFuture::new(self.inner.call(request.map(ActivityBody::plain)), None);
        };
        let protocol = Protocol::from_head(RequestHead::new(&request));
        let counts = class == RequestClass::User;
        let (parts, body) = request.into_parts();
        let (body, end) =
            ActivityBody::of_session(body, session, counts, self.settings.counts_if.clone());
        let inner = self.inner.call(Request::from_parts(parts, body));
        ResponseFuture::new(inner, Some((end, protocol)))
    }
}

impl<S> fmt::Debug for StreamActivityService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamActivityService(..)")
    }
}
