//! The future of layers that reject a request or pass it on.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use crate::body::SessionBody;

pin_project! {
    /// Completes with the inner service's response, or with a rejection.
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: Option<F>,
        rejection: Option<Response<SessionBody<B>>>,
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn inner(future: F) -> Self {
        Self { inner: Some(future), rejection: None }
    }

    pub(crate) fn rejection(response: Response<SessionBody<B>>) -> Self {
        Self { inner: None, rejection: Some(response) }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<SessionBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.inner.as_pin_mut() {
            Some(inner) => Poll::Ready(Ok(ready!(inner.poll(cx))?.map(SessionBody::inner))),
            None => Poll::Ready(Ok(this
                .rejection
                .take()
                .expect("the future is not polled after completion"))),
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
