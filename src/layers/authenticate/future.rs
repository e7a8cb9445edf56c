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
    admission::{Asking, Dismissal},
    awaiting_keys::AwaitingKeys,
};
use crate::{body::SessionBody, maybe_ready::Timed, transport::SelectBearer};

const NOT_POLLED_AGAIN: &str = "the future is not polled after completion";

pin_project! {
    /// The response future of [`AuthenticateService`](super::AuthenticateService).
    pub struct ResponseFuture<S, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S::Future, S, ReqBody, ResBody>,
        select_bearer: Option<SelectBearer>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, S, ReqBody, ResBody> {
        Inner { #[pin] future: F },
        Response { response: Option<Box<Response<SessionBody<ResBody>>>> },
        Asking { asking: Box<Asking> },
        AwaitingKeys { awaiting: Option<Box<AwaitingKeys<S, ReqBody>>> },
    }
}

impl<S, ReqBody, ResBody> ResponseFuture<S, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(crate) fn inner(future: S::Future) -> Self {
        Self { state: State::Inner { future }, select_bearer: None }
    }

    /// The response to a WebSocket handshake for which a subprotocol is to be selected.
    pub(super) fn selecting(self, select_bearer: Option<SelectBearer>) -> Self {
        Self { select_bearer, ..self }
    }

    /// The answer to a request that is not admitted now; `wait` is called if it waits for keys.
    pub(crate) fn dismissed(
        dismissal: Dismissal<ResBody>,
        wait: impl FnOnce(Box<Timed<()>>) -> AwaitingKeys<S, ReqBody>,
    ) -> Self {
        let state = match dismissal {
            Dismissal::Response(response) => State::Response { response: Some(response) },
            Dismissal::Asking(asking) => State::Asking { asking },
            Dismissal::AwaitingKeys(keys) => {
                State::AwaitingKeys { awaiting: Some(Box::new(wait(keys))) }
            }
        };
        Self { state, select_bearer: None }
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
                StateProjection::Inner { future } => {
                    let mut response = ready!(future.poll(cx))?;
                    if let Some(select) = this.select_bearer {
                        select.select(&mut response);
                    }
                    return Poll::Ready(Ok(response.map(SessionBody::inner)));
                }
                StateProjection::Response { response } => {
                    return Poll::Ready(Ok(*response.take().expect(NOT_POLLED_AGAIN)));
                }
                StateProjection::Asking { asking } => return asking.poll_response(cx).map(Ok),
                StateProjection::AwaitingKeys { awaiting } => {
                    let waiting = awaiting.as_mut().expect(NOT_POLLED_AGAIN);
                    let admitted = ready!(waiting.poll_admitted(cx));
                    let mut done = awaiting.take().expect("the request waits");
                    match admitted {
                        Ok(session) => {
                            *this.select_bearer = done.settings.remove_token(&mut done.request);
                            if let Some(session) = session {
                                done.settings.insert(session, &mut done.request);
                            }
                            State::Inner { future: done.service.call(done.request) }
                        }
                        Err(Dismissal::Response(response)) => {
                            State::Response { response: Some(response) }
                        }
                        Err(Dismissal::Asking(asking)) => State::Asking { asking },
                        Err(Dismissal::AwaitingKeys(_)) => unreachable!("it waits once"),
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
