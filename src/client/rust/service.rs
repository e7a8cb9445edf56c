//! The service of a client.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    attempt::Attempt, future::ResponseFuture, request_body::ClientBody,
    response_body::ClientResponseBody, state::ClientState,
};
use crate::ready_service::take_ready;

/// The service of [`SessionClientLayer`](super::SessionClientLayer).
#[derive(Clone)]
pub struct SessionClientService<S> {
    inner: S,
    state: Arc<ClientState>,
}

impl<S> SessionClientService<S> {
    pub(super) const fn new(inner: S, state: Arc<ClientState>) -> Self {
        Self { inner, state }
    }
}

impl<S, B, R> Service<Request<B>> for SessionClientService<S>
where
    S: Service<Request<ClientBody<B>>, Response = Response<R>> + Clone,
    B: Body<Data = Bytes> + Unpin,
    R: Body + Unpin,
{
    type Response = Response<ClientResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(tokens) = self.state.tokens_for(&request) else {
            return ResponseFuture::plain(self.inner.call(request.map(ClientBody::once)));
        };
        let service = take_ready(&mut self.inner);
        let (attempt, call) = Attempt::begin(service, request, tokens, Arc::clone(&self.state));
        ResponseFuture::with_token(attempt, call)
    }
}

impl<S> fmt::Debug for SessionClientService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionClientService(..)")
    }
}
