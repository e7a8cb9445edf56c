//! The response of a service behind the activity check, or of a rejection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{ActivityLayer, check::Verdict, entry::ActivityEntry};
use crate::{body::SessionBody, rejection::Rejection, session::Session};

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
        Inner { #[pin] future: F, entry: Option<Box<ActivityEntry>> },
        // Rejections are rare: a box spares every other request their room.
        Answer { response: Option<Box<Response<SessionBody<ResBody>>>> },
        Waiting { waiting: Option<Box<Waiting<S, ReqBody>>> },
    }
}

/// A request that waits for what the store says of its session.
pub(crate) struct Waiting<S, ReqBody> {
    pub(crate) verdict: Verdict,
    pub(crate) session: Session,
    pub(crate) request: Request<ReqBody>,
    /// The one that was polled ready.
    pub(crate) service: S,
    pub(crate) layer: ActivityLayer,
}

impl<S, ReqBody> Waiting<S, ReqBody> {
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        let settings = &self.layer.settings;
        let verdict = match &mut self.verdict {
            Verdict::Now(verdict) => *verdict,
            Verdict::Touching(answer) => {
                let touched = ready!(Pin::new(answer).poll(cx));
                settings.judge_touch(&self.session, touched)
            }
            Verdict::Peeking(answer) => {
                let peeked = ready!(Pin::new(answer).poll(cx));
                settings.judge_get(&self.session, peeked)
            }
        };
        // The store may have heard of a mark while it was asked.
        Poll::Ready(settings.judge_marks(&self.session).and(verdict))
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
    pub(super) fn counted(future: S::Future, entry: Option<Box<ActivityEntry>>) -> Self {
        Self { state: State::Inner { future, entry } }
    }

    pub(crate) fn answer(response: Response<SessionBody<ResBody>>) -> Self {
        Self { state: State::Answer { response: Some(Box::new(response)) } }
    }

    pub(crate) fn waiting(waiting: Waiting<S, ReqBody>) -> Self {
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
                StateProjection::Inner { future, entry } => {
                    let polled = future.poll(cx);
                    if let (Poll::Ready(Ok(response)), Some(entry)) = (&polled, entry) {
                        entry.end(response);
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
                            let settings = &done.layer.settings;
                            let entry = settings.entry(&done.session, class, &done.request);
                            State::Inner { future: done.service.call(done.request), entry }
                        }
                        Err(rejection) => {
                            let response =
                                done.layer.reject(rejection, &done.session, &done.request);
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
