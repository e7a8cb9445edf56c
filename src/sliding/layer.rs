//! The whole stack as one layer.

use std::{
    fmt,
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::{
    ActivityLayer, AuthenticateLayer, ClassifyLayer, ExposeHeadersLayer, RenewLayer,
    activity::ActivityService, authenticate::AuthenticateService, classify::ClassifyService,
    expose_headers::ExposeHeadersService, renew::RenewService,
};

/// The stack of [`SlidingSessions::layer`](super::SlidingSessions::layer): expose headers,
/// classify, authenticate, activity, renew.
#[derive(Clone, Debug)]
#[must_use]
pub struct SlidingSessionsLayer {
    classify: ClassifyLayer,
    authenticate: AuthenticateLayer,
    activity: ActivityLayer,
    renew: RenewLayer,
    expose: ExposeHeadersLayer,
}

type Stack<S> =
    ExposeHeadersService<ClassifyService<AuthenticateService<ActivityService<RenewService<S>>>>>;

/// The service of [`SlidingSessionsLayer`].
#[derive(Clone)]
pub struct SlidingSessionsService<S> {
    stack: Stack<S>,
}

impl SlidingSessionsLayer {
    pub(super) const fn new(
        classify: ClassifyLayer,
        authenticate: AuthenticateLayer,
        activity: ActivityLayer,
        renew: RenewLayer,
        expose: ExposeHeadersLayer,
    ) -> Self {
        Self { classify, authenticate, activity, renew, expose }
    }

    /// Lets requests without a token pass, without a `Session`; a bad token is still rejected.
    pub fn optional(mut self) -> Self {
        self.authenticate = self.authenticate.optional();
        self
    }
}

impl<S> Layer<S> for SlidingSessionsLayer {
    type Service = SlidingSessionsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let checked = self.authenticate.layer(self.activity.layer(self.renew.layer(inner)));
        SlidingSessionsService { stack: self.expose.layer(self.classify.layer(checked)) }
    }
}

impl<S, ReqBody> Service<Request<ReqBody>> for SlidingSessionsService<S>
where
    Stack<S>: Service<Request<ReqBody>>,
{
    type Response = <Stack<S> as Service<Request<ReqBody>>>::Response;
    type Error = <Stack<S> as Service<Request<ReqBody>>>::Error;
    type Future = <Stack<S> as Service<Request<ReqBody>>>::Future;

    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.stack.poll_ready(cx)
    }

    #[inline(always)]
    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.stack.call(request)
    }
}

impl<S> fmt::Debug for SlidingSessionsService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlidingSessionsService(..)")
    }
}
