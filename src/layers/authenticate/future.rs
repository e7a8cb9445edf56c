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

use super::{admission::Question, layer::Settings};
use crate::{body::SessionBody, rejection::Protocol};

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
        Answer { response: Option<Box<Response<SessionBody<B>>>> },
        Asking { asking: Box<Asking> },
    }
}

/// What a request gets that is not let in. Rare: boxes spare every other request their room.
pub(crate) enum Dismissal<B> {
    Answer(Box<Response<SessionBody<B>>>),
    Asking(Box<Asking>),
}

/// A store that is being asked for the reason.
pub(crate) struct Asking {
    pub(super) question: Question,
    pub(super) protocol: Protocol,
    pub(super) settings: Arc<Settings>,
}

impl Asking {
    fn poll_answer<B>(&mut self, cx: &mut Context<'_>) -> Poll<Response<SessionBody<B>>> {
        let answer = ready!(Pin::new(&mut self.question.answer).poll(cx));
        let rejection = self.settings.name(&self.question.ended, answer.ok());
        Poll::Ready(rejection.into_response(&self.settings.speech(self.protocol.clone())))
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn inner(future: F) -> Self {
        Self { state: State::Inner { future } }
    }

    pub(crate) fn dismissed(dismissal: Dismissal<B>) -> Self {
        let state = match dismissal {
            Dismissal::Answer(response) => State::Answer { response: Some(response) },
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
            StateProjection::Answer { response } => {
                Poll::Ready(Ok(*response.take().expect("polled after completion")))
            }
            StateProjection::Asking { asking } => asking.poll_answer(cx).map(Ok),
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
