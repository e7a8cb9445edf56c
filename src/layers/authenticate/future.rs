//! The response future of the authentication service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use pin_project_lite::pin_project;

use super::admission::{Asking, Dismissal};
use crate::body::SessionBody;

pin_project! {
    /// The response future of [`AuthenticateService`](super::AuthenticateService).
    pub struct ResponseFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, B> {
        Inner { #[pin] future: F },
        Response { response: Option<Box<Response<SessionBody<B>>>> },
        Asking { asking: Box<Asking> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn inner(future: F) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(crate) fn dismissed(dismissal: Dismissal<B>) -> Self {
        let state = match dismissal {
            Dismissal::Response(response) => State::Response { response: Some(response) },
            Dismissal::Asking(asking) => State::Asking { asking },
        };
        Self { state }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<SessionBody<B>>, E>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Inner { future } => {
                future.poll(cx).map_ok(|response| response.map(SessionBody::inner))
            }
            StateProjection::Response { response } => Poll::Ready(Ok(*response
                .take()
                .expect("the future is not polled after completion"))),
            StateProjection::Asking { asking } => asking.poll_response(cx).map(Ok),
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
