//! The whole stack as one service.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    future::{Completion, ResponseFuture},
    layer::Layers,
};
use crate::{
    body::SessionBody,
    layers::{
        activity::{self, Check, Waiting},
        authenticate,
        classify::assign,
        renew::RenewalContext,
    },
    ready_service::take_ready,
    request_class::{RequestClass, RequestHeaders},
    session::Session,
    transport::ResponseEdits,
};

/// The service of [`SlidingSessionsLayer`](super::SlidingSessionsLayer).
///
/// It calls the functions of the five layers in one service: the request and the response are moved
/// once, the headers are read once, and the session is not looked up in the extensions. A test holds
/// it to the behavior of the five services.
#[derive(Clone)]
pub struct SlidingSessionsService<S> {
    inner: S,
    layers: Arc<Layers>,
}

impl<S> SlidingSessionsService<S> {
    pub(super) const fn new(inner: S, layers: Arc<Layers>) -> Self {
        Self { inner, layers }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SlidingSessionsService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<SessionBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody, ResBody>;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let Layers { expose, classify, authenticate, activity, renew } = &*self.layers;
        let headers = RequestHeaders::new(request.headers());
        let is_conditional = headers.is_conditional;
        let exposed = expose.asked_for(headers.has_origin);
        let mut completion = Completion { exposed, edits: ResponseEdits::default() };
        let given = classify.classify(&request);
        let class = match given {
            RequestClass::User => RequestClass::assigned(&request),
            given => given,
        };
        let session = match authenticate.settings.admit(&request, class, &headers) {
            Ok(session) => session,
            Err(dismissal) => {
                let dismissed = authenticate::ResponseFuture::dismissed(dismissal, |awaited| {
                    assign(given, &mut request);
                    let service = activity.layer(renew.layer(take_ready(&mut self.inner)));
                    let settings = Arc::clone(&authenticate.settings);
                    authenticate::Waiting { awaited, request, class, service, settings }
                });
                return ResponseFuture::layered(dismissed, completion);
            }
        };
        assign(given, &mut request);
        completion.edits = authenticate.settings.remove_tokens(&mut request, session.is_some());
        let admitted = session.is_some();
        let session = match session {
            Some(session) => {
                authenticate.settings.insert(session.clone(), &mut request);
                session
            }
            // An outer layer may have inserted one.
            None => match request.extensions().get::<Session>() {
                Some(session) => session.clone(),
                None => {
                    return ResponseFuture::straight(
                        self.inner.call(request),
                        None,
                        None,
                        completion,
                    );
                }
            },
        };
        match activity.settings.check(&session, &request, admitted) {
            Check::Passed(entry) => {
                let renewal =
                    RenewalContext::new(session, &mut request, is_conditional, &renew.settings);
                ResponseFuture::straight(self.inner.call(request), entry, Some(renewal), completion)
            }
            Check::Rejected(rejection) if session.counts_as_absent(&rejection) => {
                request.extensions_mut().remove::<Session>();
                let mut service = activity.layer(renew.layer(take_ready(&mut self.inner)));
                let answer = service.call(request);
                ResponseFuture::layered(
                    authenticate::ResponseFuture::inner(answer, admitted),
                    completion,
                )
            }
            Check::Rejected(rejection) => {
                let response = activity.settings.reject(rejection, &request);
                let answer = activity::ResponseFuture::answer(response);
                ResponseFuture::layered(
                    authenticate::ResponseFuture::inner(answer, admitted),
                    completion,
                )
            }
            Check::Waiting(pending) => {
                let service = renew.layer(take_ready(&mut self.inner));
                let settings = Arc::clone(&activity.settings);
                let waiting = Waiting { pending, session, request, service, settings };
                let waiting = activity::ResponseFuture::waiting(waiting);
                ResponseFuture::layered(
                    authenticate::ResponseFuture::inner(waiting, admitted),
                    completion,
                )
            }
        }
    }
}

impl<S> fmt::Debug for SlidingSessionsService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlidingSessionsService(..)")
    }
}
