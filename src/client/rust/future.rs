//! The response future of a client.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    attempt::{Attempt, Next},
    request_body::ClientBody,
    response_body::ClientResponseBody,
};

pin_project! {
    /// The response future of [`SessionClientService`](super::SessionClientService).
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<ClientBody<B>>, Response = Response<R>>,
        R: Body,
    {
        // `None` between two attempts: the service may hold a permit for a call.
        #[pin]
        call: Option<S::Future>,
        // `None` for a request without a token.
        attempt: Option<Box<Attempt<S, B, R>>>,
    }
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<ClientBody<B>>, Response = Response<R>>,
    R: Body,
{
    pub(super) const fn plain(call: S::Future) -> Self {
        Self { call: Some(call), attempt: None }
    }

    pub(super) fn with_token(attempt: Attempt<S, B, R>, call: S::Future) -> Self {
        Self { call: Some(call), attempt: Some(Box::new(attempt)) }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<ClientBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes> + Unpin,
    R: Body + Unpin,
{
    type Output = Result<Response<ClientResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if let Some(call) = this.call.as_mut().as_pin_mut() {
                let response = ready!(call.poll(cx))?;
                this.call.set(None);
                let Some(attempt) = this.attempt else {
                    return Poll::Ready(Ok(response.map(ClientResponseBody::plain)));
                };
                if let Some(response) = attempt.judge(response) {
                    return Poll::Ready(Ok(response));
                }
            }
            let attempt = this.attempt.as_mut().expect("a request without a token has a call");
            match ready!(attempt.poll_next(cx))? {
                Next::Call(call) => this.call.set(Some(call)),
                Next::Respond(response) => return Poll::Ready(Ok(response)),
            }
        }
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<ClientBody<B>>, Response = Response<R>>,
    R: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
