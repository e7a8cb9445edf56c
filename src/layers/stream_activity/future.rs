//! The response future of the stream activity service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use crate::{
    body::SessionBody,
    rejection::{Protocol, Rejection},
};

pin_project! {
    /// The response future of [`StreamActivityService`](super::StreamActivityService).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // How the request body ended, if it ended with the session.
        end: Option<(Arc<OnceLock<Rejection>>, Protocol)>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: F, end: Option<(Arc<OnceLock<Rejection>>, Protocol)>) -> Self {
        Self { inner, end }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<SessionBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(cx))?;
        let end = this.end.take();
        let end = end.and_then(|(end, protocol)| Some((*end.get()?, protocol)));
        Poll::Ready(Ok(match end {
            // What the handler says follows from the error that its request body ended with.
            Some((rejection, protocol)) => rejection.into_protocol_response(protocol),
            None => response.map(SessionBody::inner),
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
