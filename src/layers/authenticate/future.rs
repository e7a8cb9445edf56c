//! The response of an authenticated service, or of a rejection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{Question, Settings};
use crate::{body::SessionBody, rejection::Dialect};

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
        // Rejections are rare: a box spares every other request their room.
        Answer { response: Option<Box<Response<SessionBody<B>>>> },
        Asking { question: Box<Question>, dialect: Dialect, settings: Arc<Settings> },
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn inner(future: F) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(super) fn answer(response: Response<SessionBody<B>>) -> Self {
        Self { state: State::Answer { response: Some(Box::new(response)) } }
    }

    pub(super) fn asking(
        question: Box<Question>,
        dialect: Dialect,
        settings: Arc<Settings>,
    ) -> Self {
        Self { state: State::Asking { question, dialect, settings } }
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
            StateProjection::Answer { response } => {
                Poll::Ready(Ok(*response.take().expect("polled after completion")))
            }
            StateProjection::Asking { question, dialect, settings } => {
                let answer = ready!(Pin::new(&mut question.answer).poll(cx));
                let rejection = settings.name(&question.ended, answer.ok());
                let speech = settings.speech(dialect.clone());
                Poll::Ready(Ok(rejection.into_response(&speech)))
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
