//! The response future of the renewal service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Response};
use pin_project_lite::pin_project;

use super::{
    RenewalContext,
    pending::{Minted, PendingRenewal},
};
use crate::body::Guard;

pin_project! {
    /// The response future of [`RenewService`](super::RenewService).
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        renewal: Option<RenewalContext>,
        // Renewals are rare: the box keeps every other future small.
        awaiting_token: Option<BoxedAwaitingToken<B>>,
    }
}

pin_project! {
    /// A response that waits for its token.
    pub(crate) struct AwaitingToken<B, M>
    where
        M: ?Sized,
    {
        response: Option<Response<B>>,
        renewal: RenewalContext,
        #[pin]
        minted: M,
    }
}

/// One box for the response and the future of its token.
pub(crate) type BoxedAwaitingToken<B> =
    Pin<Box<AwaitingToken<B, dyn Future<Output = Option<Minted>> + Send>>>;

pub(crate) fn awaiting_token<B>(
    response: Response<B>,
    renewal: RenewalContext,
    pending: PendingRenewal,
) -> BoxedAwaitingToken<B> {
    Box::pin(AwaitingToken { response: Some(response), renewal, minted: pending.mint() })
}

impl<B, M> AwaitingToken<B, M>
where
    M: Future<Output = Option<Minted>> + ?Sized,
{
    /// The response, with the token if one was minted.
    pub(crate) fn poll_response(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<B>> {
        let this = self.project();
        let minted = ready!(this.minted.poll(cx));
        let mut response = this.response.take().expect("the future is not polled after completion");
        if let Some(Minted { token, life }) = minted {
            let origin = this.renewal.session.origin();
            this.renewal.settings.delivery.write(response.headers_mut(), origin, token, life);
        }
        this.renewal.add_session_expires(&mut response);
        Poll::Ready(response)
    }

    /// Ends the body of the response with `headers` with the session.
    pub(crate) fn guard(self: Pin<&Self>, headers: &HeaderMap) -> Guard {
        self.get_ref().renewal.clone().into_guard(headers)
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(inner: F, renewal: Option<RenewalContext>) -> Self {
        Self { inner, renewal, awaiting_token: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(awaiting_token) = this.awaiting_token {
            return awaiting_token.as_mut().poll_response(cx).map(Ok);
        }
        let mut response = ready!(this.inner.poll(cx))?;
        let pending = this.renewal.as_ref().and_then(|renewal| renewal.finish(&mut response));
        let (Some(pending), Some(renewal)) = (pending, this.renewal.take()) else {
            return Poll::Ready(Ok(response));
        };
        let awaiting_token = awaiting_token(response, renewal, pending);
        this.awaiting_token.insert(awaiting_token).as_mut().poll_response(cx).map(Ok)
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
