//! The response future of the whole stack.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    body::{Guard, SessionBody},
    layers::{
        activity::{ActivityService, PendingEntry},
        authenticate,
        expose_headers::Exposed,
        renew::{BoxedAwaitingToken, RenewService, RenewalContext, awaiting_token},
    },
    transport::ResponseEdits,
};

pin_project! {
    /// The response future of [`SlidingSessionsService`](super::SlidingSessionsService).
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        S: Clone,
    {
        // `None` if the inner service was not called yet.
        #[pin]
        inner: Option<S::Future>,
        entry: Option<Box<PendingEntry>>,
        renewal: Option<RenewalContext>,
        completion: Completion,
        slow_path: Option<SlowPath<S, ReqBody, ResBody>>,
    }
}

/// What the layers outside the activity layer do to a response.
pub(super) struct Completion {
    pub(super) exposed: Option<Arc<Exposed>>,
    pub(super) edits: ResponseEdits,
}

/// What few responses need.
enum SlowPath<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    AwaitingToken(BoxedAwaitingToken<ResBody>),
    /// A request that is rejected or waits for a store: the futures of the layers.
    Layered(Pin<Box<Layered<S, ReqBody, ResBody>>>),
}

pub(super) type Layered<S, ReqBody, ResBody> =
    authenticate::ResponseFuture<ActivityService<RenewService<S>>, ReqBody, SessionBody<ResBody>>;

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    #[inline(always)]
    pub(super) fn straight(
        inner: S::Future,
        entry: Option<Box<PendingEntry>>,
        renewal: Option<RenewalContext>,
        completion: Completion,
    ) -> Self {
        Self { inner: Some(inner), entry, renewal, completion, slow_path: None }
    }

    pub(super) fn layered(future: Layered<S, ReqBody, ResBody>, completion: Completion) -> Self {
        let slow_path = Some(SlowPath::Layered(Box::pin(future)));
        Self { inner: None, entry: None, renewal: None, completion, slow_path }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    type Output = Result<Response<SessionBody<ResBody>>, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.slow_path.is_none() {
            let inner = this.inner.as_mut().as_pin_mut().expect("there is one, or a slow_path");
            let mut response = ready!(inner.poll(cx))?;
            if let Some(renewal) = this.renewal
                && let Some(pending) = renewal.finish(&mut response)
            {
                let awaiting_token = awaiting_token(response, renewal.clone(), pending);
                *this.slow_path = Some(SlowPath::AwaitingToken(awaiting_token));
            } else {
                finish(&mut response, this.entry.as_deref_mut(), this.completion);
                let guard = match this.renewal.take() {
                    Some(renewal) => renewal.into_guard(response.headers()),
                    None => Guard::Off,
                };
                // Last, in place: a response is 170 bytes and more, and each move of it counts.
                return Poll::Ready(Ok(response.map(|body| SessionBody::guarded(body, guard))));
            }
        }
        let slow_path = this.slow_path.as_mut().expect("it was set above");
        let mut response = ready!(slow_path.poll(cx))?;
        finish(&mut response, this.entry.as_deref_mut(), this.completion);
        Poll::Ready(Ok(response))
    }
}

impl<S, ReqBody, ResBody> SlowPath<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    #[cold]
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<SessionBody<ResBody>>, S::Error>> {
        match self {
            Self::AwaitingToken(awaiting_token) => {
                let response = ready!(awaiting_token.as_mut().poll_response(cx));
                let guard = awaiting_token.as_ref().guard(response.headers());
                Poll::Ready(Ok(response.map(|body| SessionBody::guarded(body, guard))))
            }
            Self::Layered(future) => {
                let response = ready!(future.as_mut().poll(cx))?;
                Poll::Ready(Ok(response.map(SessionBody::flat)))
            }
        }
    }
}

/// Completes a response as the layers outside the renewal do.
#[inline(always)]
fn finish<B>(
    response: &mut Response<B>,
    entry: Option<&mut PendingEntry>,
    completion: &Completion,
) {
    if let Some(entry) = entry {
        entry.record(response);
    }
    if let Some(exposed) = &completion.exposed {
        exposed.expose(response.headers_mut());
    }
    completion.edits.apply(response);
}

impl<S, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
