//! The service that authenticates requests.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{ResponseFuture, Waiting, settings::AuthenticateSettings};
use crate::{
    body::SessionBody,
    ready_service::take_ready,
    request_class::{RequestClass, RequestHeaders},
};

/// The service of [`AuthenticateLayer`](super::AuthenticateLayer).
#[derive(Clone)]
pub struct AuthenticateService<S> {
    inner: S,
    settings: Arc<AuthenticateSettings>,
}

impl<S> fmt::Debug for AuthenticateService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticateService(..)")
    }
}

impl<S> AuthenticateService<S> {
    pub(super) const fn new(inner: S, settings: Arc<AuthenticateSettings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for AuthenticateService<S>
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
        let class = RequestClass::assigned(&request);
        match self.settings.admit(&request, class, &RequestHeaders::new(request.headers())) {
            Ok(session) => {
                let has_session = session.is_some();
                let edits = self.settings.remove_tokens(&mut request, has_session);
                if let Some(session) = session {
                    self.settings.insert(session, &mut request);
                }
                ResponseFuture::inner(self.inner.call(request), has_session).edited(edits)
            }
            Err(dismissal) => ResponseFuture::dismissed(dismissal, |awaited| {
                let service = take_ready(&mut self.inner);
                let settings = Arc::clone(&self.settings);
                Waiting { awaited, request, class, service, settings }
            }),
        }
    }
}
