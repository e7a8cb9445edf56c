//! A request with a token, from the first time it is sent to its last response.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, header::AUTHORIZATION, request};
use http_body::Body;
use tower_service::Service;

use super::{
    answer::rejection_of,
    request_body::{ClientBody, SentBody},
    response_body::ClientResponseBody,
    single_flight::{Outcome, Waiting},
    state::{Awaited, ClientState, Reaction},
    tokens::Tokens,
};
use crate::request_class::says_background;

/// How often a request is repeated: after a refresh, and because its token was replaced meanwhile.
const MAX_REPETITIONS: u8 = 2;

/// A request with a token, until its last response.
pub(super) struct Attempt<S, B, R: Body> {
    state: Arc<ClientState>,
    service: S,
    /// The head of the request without its token.
    head: request::Parts,
    body: SentBody<B>,
    sent: Tokens,
    /// Which request of the client this is, since it was sent last.
    number: u64,
    is_background: bool,
    repetitions: u8,
    /// Refreshes that this request has waited for.
    refreshes: u8,
    awaited: Option<Awaited>,
    rejected: Option<Rejected<B, R>>,
}

/// A rejection after which the request may be repeated.
struct Rejected<B, R: Body> {
    /// The application gets it if the request cannot be repeated.
    response: Response<ClientResponseBody<R>>,
    waiting: Option<Waiting>,
    /// The body to send again, once the service has dropped it.
    body: Option<ClientBody<B>>,
}

/// What an attempt goes on with.
pub(super) enum Next<F, R: Body> {
    Call(F),
    Respond(Response<ClientResponseBody<R>>),
}

/// Pending, or what an attempt goes on with.
pub(super) type PolledNext<F, R, E> = Poll<Result<Next<F, R>, E>>;

impl<S, B, R> Attempt<S, B, R>
where
    S: Service<Request<ClientBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes> + Unpin,
    R: Body + Unpin,
{
    /// Calls `service`, which is ready, with `request` and the token.
    pub(super) fn begin(
        service: S,
        request: Request<B>,
        tokens: Tokens,
        state: Arc<ClientState>,
    ) -> (Self, S::Future) {
        let (head, body) = request.into_parts();
        let (body, sent_body) = ClientBody::returning(body);
        let mut attempt = Self {
            is_background: says_background(&head.headers),
            state,
            service,
            head,
            body: sent_body,
            sent: tokens,
            number: 0,
            repetitions: 0,
            refreshes: 0,
            awaited: None,
            rejected: None,
        };
        let call = attempt.call(body);
        (attempt, call)
    }

    fn call(&mut self, body: ClientBody<B>) -> S::Future {
        let mut request = Request::from_parts(self.head.clone(), body);
        request.headers_mut().insert(AUTHORIZATION, self.sent.authorization());
        self.awaited = Some(Awaited::new(Arc::clone(&self.state)));
        self.number = self.state.next_number();
        self.service.call(request)
    }

    /// Returns what the application gets, unless the request may be repeated.
    pub(super) fn judge(
        &mut self,
        response: Response<R>,
    ) -> Option<Response<ClientResponseBody<R>>> {
        self.awaited = None;
        let state = &self.state;
        state.take_renewed(response.headers(), &self.sent);
        state.tell_expiry(response.headers(), &self.sent, self.number);
        let Some(kind) = rejection_of(response.headers()) else {
            let (state, sent) = (Arc::clone(state), self.sent.clone());
            return Some(response.map(|body| ClientResponseBody::watched(body, state, sent)));
        };
        let may_refresh = self.refreshes == 0;
        let headers = response.headers();
        let reaction = state.react(kind, headers, &self.sent, self.is_background, may_refresh);
        let response = response.map(ClientResponseBody::plain);
        let waiting = match reaction {
            Reaction::Repeat => None,
            Reaction::RepeatAfter(waiting) => Some(waiting),
            Reaction::Respond => return Some(response),
        };
        if self.repetitions == MAX_REPETITIONS {
            return Some(response);
        }
        self.rejected = Some(Rejected { response, waiting, body: None });
        None
    }

    /// Waits until the request can be repeated, and repeats it.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> PolledNext<S::Future, R, S::Error> {
        let mut rejected = self.rejected.take().expect("judge has kept a rejection");
        let polled = self.poll_repetition(&mut rejected, cx);
        match polled {
            Poll::Pending => {
                self.rejected = Some(rejected);
                Poll::Pending
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(Next::Respond(rejected.response))),
            Poll::Ready(Ok(Some(body))) => {
                self.repetitions += 1;
                Poll::Ready(Ok(Next::Call(self.call(body))))
            }
        }
    }

    /// The body to repeat the request with, after its token was set; `None` if it is not repeated.
    fn poll_repetition(
        &mut self,
        rejected: &mut Rejected<B, R>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<ClientBody<B>>, S::Error>> {
        // Its connection is free then, for the refresh and for the next attempt.
        ready!(rejected.response.body_mut().poll_read_ahead(cx));
        while let Some(waiting) = &mut rejected.waiting {
            let outcome = ready!(waiting.as_mut().poll(cx));
            self.refreshes += 1;
            let reaction = match outcome {
                Some(Outcome::Settled) => Reaction::Repeat,
                // The runtime of the refresh was shut down: this request starts another one.
                None if self.refreshes == 1 => {
                    self.state.refresh_again(&self.sent, self.is_background)
                }
                Some(Outcome::Failed) | None => Reaction::Respond,
            };
            rejected.waiting = match reaction {
                Reaction::Repeat => None,
                Reaction::RepeatAfter(waiting) => Some(waiting),
                Reaction::Respond => return Poll::Ready(Ok(None)),
            };
        }
        if rejected.body.is_none() {
            rejected.body = ready!(self.body.poll_returned(cx));
        }
        if rejected.body.is_none() {
            return Poll::Ready(Ok(None));
        }
        ready!(self.service.poll_ready(cx))?;
        Poll::Ready(Ok(match self.state.tokens_to_repeat(&self.sent) {
            Some(tokens) => {
                self.sent = tokens;
                rejected.body.take()
            }
            None => None,
        }))
    }
}
