//! The response of a service behind the activity check, or of a rejection.

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

use super::{Settings, verdict::Verdict, visit::Visit};
use crate::{
    body::SessionBody,
    rejection::{Dialect, Rejection},
    session::Session,
};

pin_project! {
    /// The response future of [`ActivityService`](super::ActivityService).
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S::Future, S, ReqBody, ResBody>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, S, ReqBody, ResBody> {
        Inner { #[pin] future: F, visit: Option<Box<Visit>> },
        // Rejections are rare: a box spares every other request their room.
        Answer { response: Option<Box<Response<SessionBody<ResBody>>>> },
        Waiting { waiting: Option<Box<Waiting<S, ReqBody>>> },
    }
}

struct Waiting<S, ReqBody> {
    verdict: Verdict,
    session: Session,
    request: Request<ReqBody>,
    service: S,
    settings: Arc<Settings>,
}

impl<S, ReqBody> Waiting<S, ReqBody> {
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        Poll::Ready(match &mut self.verdict {
            Verdict::Now(verdict) => *verdict,
            Verdict::Touching(answer) => {
                let touched = ready!(Pin::new(answer).poll(cx));
                self.settings.judge_touch(&self.session, touched)
            }
            Verdict::Peeking(answer) => {
                let peeked = ready!(Pin::new(answer).poll(cx));
                self.settings.judge_peek(&self.session, peeked)
            }
        })
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self::counted(future, None)
    }

    /// With the row that the response completes.
    pub(super) fn counted(future: S::Future, visit: Option<Box<Visit>>) -> Self {
        Self { state: State::Inner { future, visit } }
    }

    pub(super) fn answer(response: Response<SessionBody<ResBody>>) -> Self {
        Self { state: State::Answer { response: Some(Box::new(response)) } }
    }

    pub(super) fn waiting(
        verdict: Verdict,
        session: Session,
        request: Request<ReqBody>,
        service: S,
        settings: Arc<Settings>,
    ) -> Self {
        let waiting = Waiting { verdict, session, request, service, settings };
        Self { state: State::Waiting { waiting: Some(Box::new(waiting)) } }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Output = Result<Response<SessionBody<ResBody>>, S::Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Inner { future, visit } => {
                    let polled = future.poll(cx);
                    if let (Poll::Ready(Ok(response)), Some(visit)) = (&polled, visit) {
                        visit.end(response);
                    }
                    return polled.map_ok(|response| response.map(SessionBody::inner));
                }
                StateProjection::Answer { response } => {
                    return Poll::Ready(Ok(*response.take().expect("polled after completion")));
                }
                StateProjection::Waiting { waiting } => {
                    let verdict =
                        ready!(waiting.as_mut().expect("polled after completion").poll_verdict(cx));
                    let mut done = waiting.take().expect("it was there a line ago");
                    match verdict {
                        Ok(()) => {
                            let class = done.session.class(&done.request);
                            let visit = done.settings.visit(&done.session, class, &done.request);
                            State::Inner { future: done.service.call(done.request), visit }
                        }
                        Err(rejection) => {
                            let dialect = Dialect::of(done.request.headers());
                            let response = done.settings.reject(rejection, &done.session, dialect);
                            State::Answer { response: Some(Box::new(response)) }
                        }
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
