//! The response future of the activity service.

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

use super::{check::PendingAnswer, entry::PendingEntry, settings::ActivitySettings};
use crate::{
    body::{Guard, SessionBody},
    session::Session,
};

const NOT_POLLED_AGAIN: &str = "the future is not polled after completion";

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
        Inner { #[pin] future: F, entry: Option<Box<PendingEntry>>, session: Option<Session> },
        // Rejections are rare: the box keeps every other future small.
        Answer { response: Option<Box<Response<SessionBody<ResBody>>>> },
        Waiting { waiting: Option<Box<Waiting<S, ReqBody>>> },
    }
}

/// A request that waits for the store.
pub(crate) struct Waiting<S, ReqBody> {
    pub(crate) pending: PendingAnswer,
    pub(crate) session: Session,
    pub(crate) request: Request<ReqBody>,
    /// The service that was polled ready.
    pub(crate) service: S,
    pub(crate) settings: Arc<ActivitySettings>,
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future, entry: None, session: None } }
    }

    /// With the activity log entry that the response completes, and the session that ends its body.
    pub(super) fn checked(
        future: S::Future,
        entry: Option<Box<PendingEntry>>,
        session: Option<Session>,
    ) -> Self {
        Self { state: State::Inner { future, entry, session } }
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
                StateProjection::Inner { future, entry, session } => {
                    let response = ready!(future.poll(cx))?;
                    if let Some(entry) = entry {
                        entry.record(&response);
                    }
                    let guard = match session.take() {
                        Some(session) => session.into_guard(response.headers()),
                        None => Guard::Off,
                    };
                    return Poll::Ready(Ok(response.map(|body| SessionBody::guarded(body, guard))));
                }
                StateProjection::Answer { response } => {
                    return Poll::Ready(Ok(*response.take().expect(NOT_POLLED_AGAIN)));
                }
                StateProjection::Waiting { waiting } => {
                    let Waiting { pending, session, settings, .. } =
                        &mut **waiting.as_mut().expect(NOT_POLLED_AGAIN);
                    let checked = ready!(settings.poll_check(session, pending, cx));
                    let mut done = waiting.take().expect("the request waits");
                    match checked {
                        Ok(()) => {
                            if done.session.has_new_claims() {
                                done.request.extensions_mut().insert(done.session.clone());
                            }
                            let class = done.session.class(&done.request);
                            let settings = &done.settings;
                            let entry = settings.entry(&done.session, class, &done.request);
                            let future = done.service.call(done.request);
                            State::Inner { future, entry, session: Some(done.session) }
                        }
                        Err(rejection) if done.session.counts_as_absent(&rejection) => {
                            done.request.extensions_mut().remove::<Session>();
                            let future = done.service.call(done.request);
                            State::Inner { future, entry: None, session: None }
                        }
                        Err(rejection) => {
                            let response = done.settings.reject(rejection, &done.request);
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
