//! The response future of the service that exposes headers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;

use super::Exposed;

pin_project! {
    /// The response future of [`ExposeHeadersService`](super::ExposeHeadersService).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        exposed: Option<Arc<Exposed>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, exposed: Option<Arc<Exposed>>) -> Self {
        Self { inner, exposed }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut polled = this.inner.poll(cx);
        if let (Poll::Ready(Ok(response)), Some(exposed)) = (&mut polled, this.exposed) {
            exposed.expose(response.headers_mut());
        }
        polled
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
