//! The response body of a client.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use super::{answer::rejection_of, state::ClientState, tokens::Tokens};
use crate::rejection::RejectionKind;

/// How much of a rejection is read before its request is repeated, in bytes.
const MAX_READ_AHEAD: usize = 64 * 1024;

/// The response body that an application gets. A renewed token in its trailers is kept.
pub struct ClientResponseBody<R: Body> {
    /// What was read while the request might have been repeated.
    read: VecDeque<Result<Frame<R::Data>, R::Error>>,
    /// `None` once it was read to its end.
    body: Option<R>,
    watch: Option<Watch>,
}

/// Whose trailers say something about the session.
struct Watch {
    state: Arc<ClientState>,
    sent: Tokens,
}

impl<R: Body> ClientResponseBody<R> {
    pub(super) const fn plain(body: R) -> Self {
        Self { read: VecDeque::new(), body: Some(body), watch: None }
    }

    /// The body of a response to a request with `sent`.
    pub(super) const fn watched(body: R, state: Arc<ClientState>, sent: Tokens) -> Self {
        Self { read: VecDeque::new(), body: Some(body), watch: Some(Watch { state, sent }) }
    }
}

impl<R> ClientResponseBody<R>
where
    R: Body + Unpin,
{
    /// Reads the body of a rejection, so that it no longer occupies its connection.
    pub(super) fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut length = self.read.iter().map(data_length).sum::<usize>();
        while let Some(body) = self.body.as_mut().filter(|_| length < MAX_READ_AHEAD) {
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(frame) => {
                    length += data_length(&frame);
                    if frame.is_err() {
                        self.body = None;
                    }
                    self.read.push_back(frame);
                }
                None => self.body = None,
            }
        }
        Poll::Ready(())
    }
}

fn data_length<D: Buf, E>(frame: &Result<Frame<D>, E>) -> usize {
    frame.as_ref().ok().and_then(Frame::data_ref).map_or(0, Buf::remaining)
}

impl Watch {
    /// Takes a renewed token, and the end of the session where the stream was ended for it.
    fn read<D>(&self, frame: &Frame<D>) {
        let Some(trailers) = frame.trailers_ref() else { return };
        self.state.take_renewed(trailers, &self.sent);
        if let Some(
            kind @ (RejectionKind::SessionExpiredIdle
            | RejectionKind::SessionExpiredAbsolute
            | RejectionKind::SessionRevoked),
        ) = rejection_of(trailers)
        {
            self.state.sign_out_if(kind, |held| held.has_access_token_of(&self.sent));
        }
    }
}

impl<R> Body for ClientResponseBody<R>
where
    R: Body + Unpin,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        let this = &mut *self;
        if let Some(frame) = this.read.pop_front() {
            return Poll::Ready(Some(frame));
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if let (Some(watch), Some(Ok(frame))) = (&this.watch, &frame) {
            watch.read(frame);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) if self.read.is_empty() => body.size_hint(),
            None if self.read.is_empty() => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}

impl<R: Body> Unpin for ClientResponseBody<R> where R: Unpin {}

impl<R: Body> fmt::Debug for ClientResponseBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientResponseBody(..)")
    }
}
