//! The response future of the authentication service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    dismissal::{Asking, Awaited, Dismissal},
    waiting::Waiting,
};
use crate::{body::SessionBody, rejection::remove_forwarded_error, transport::ResponseEdits};

const NOT_POLLED_AGAIN: &str = "the future is not polled after completion";

pin_project! {
    /// The response future of [`AuthenticateService`](super::AuthenticateService).
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S::Future, S, ReqBody, ResBody>,
        edits: ResponseEdits,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, S, ReqBody, ResBody> {
        Inner { #[pin] future: F, has_session: bool },
        Response { response: Option<Box<Response<SessionBody<ResBody>>>> },
        Asking { asking: Box<Asking> },
        Waiting { waiting: Option<Box<Waiting<S, ReqBody>>> },
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    /// `has_session`: this layer has admitted the request.
    pub(crate) fn inner(future: S::Future, has_session: bool) -> Self {
        let state = State::Inner { future, has_session };
        Self { state, edits: ResponseEdits::default() }
    }

    /// The response with what a transport changes in it.
    pub(super) fn edited(self, edits: ResponseEdits) -> Self {
        Self { edits, ..self }
    }

    /// The answer to a request that is not admitted now; `wait` is called if it waits.
    pub(crate) fn dismissed(
        dismissal: Dismissal<ResBody>,
        wait: impl FnOnce(Box<Awaited>) -> Waiting<S, ReqBody>,
    ) -> Self {
        let state = match dismissal {
            Dismissal::Response(response) => State::Response { response: Some(response) },
            Dismissal::Asking(asking) => State::Asking { asking },
            Dismissal::Waiting(awaited) => {
                State::Waiting { waiting: Some(Box::new(wait(awaited))) }
            }
        };
        Self { state, edits: ResponseEdits::default() }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Output = Result<Response<SessionBody<ResBody>>, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut state = this.state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Inner { future, has_session } => {
                    let mut response = ready!(future.poll(cx))?;
                    if *has_session {
                        remove_forwarded_error(&mut response);
                    }
                    this.edits.apply(&mut response);
                    return Poll::Ready(Ok(response.map(SessionBody::inner)));
                }
                StateProjection::Response { response } => {
                    return Poll::Ready(Ok(*response.take().expect(NOT_POLLED_AGAIN)));
                }
                StateProjection::Asking { asking } => return asking.poll_response(cx).map(Ok),
                StateProjection::Waiting { waiting } => {
                    let polled = waiting.as_mut().expect(NOT_POLLED_AGAIN);
                    let admitted = ready!(polled.poll_admitted(cx));
                    let mut done = waiting.take().expect("the request waits");
                    match admitted {
                        Ok(session) => {
                            let has_session = session.is_some();
                            let (settings, request) = (&done.settings, &mut done.request);
                            *this.edits = settings.remove_tokens(request, has_session);
                            if let Some(session) = session {
                                settings.insert(session, request);
                            }
                            State::Inner { future: done.service.call(done.request), has_session }
                        }
                        Err(Dismissal::Response(response)) => {
                            State::Response { response: Some(response) }
                        }
                        Err(Dismissal::Asking(asking)) => State::Asking { asking },
                        Err(Dismissal::Waiting(_)) => unreachable!("it waits once"),
                    }
                }
            };
            state.set(next);
        }
    }
}

impl<S, ReqBody, ResBody> fmt::Debug for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture(..)")
    }
}
