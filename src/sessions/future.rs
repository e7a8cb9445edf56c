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
    body::SessionBody,
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
        let this = self.project();
        if this.slow_path.is_none() {
            let inner = this.inner.as_pin_mut().expect("there is one, or a slow_path");
            let mut response = ready!(inner.poll(cx))?;
            let pending = this.renewal.as_ref().and_then(|renewal| renewal.finish(&mut response));
            let Some(pending) = pending else {
                let mut response = match this.renewal.take() {
                    Some(renewal) => renewal.guard(response),
                    None => response.map(SessionBody::inner),
                };
                finish(&mut response, this.entry.as_deref_mut(), this.completion);
                return Poll::Ready(Ok(response));
            };
            let renewal = this.renewal.take().expect("the pending is its");
            *this.slow_path =
                Some(SlowPath::AwaitingToken(awaiting_token(response, renewal, pending)));
        }
        let mut response = match this.slow_path {
            Some(SlowPath::AwaitingToken(awaiting_token)) => {
                let response = ready!(awaiting_token.as_mut().poll_response(cx));
                awaiting_token.as_ref().guard(response)
            }
            Some(SlowPath::Layered(future)) => {
                ready!(future.as_mut().poll(cx))?.map(SessionBody::flat)
            }
            None => unreachable!("it was set above"),
        };
        finish(&mut response, this.entry.as_deref_mut(), this.completion);
        Poll::Ready(Ok(response))
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
