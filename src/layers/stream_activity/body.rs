//! The body of a request whose data counts as activity.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::settings::CountsIf;
use crate::{
    body::{BoxError, LastFrame as _},
    rejection::{Rejection, RejectionKind},
    session::{Session, SessionEnded, StreamTouch},
};

pin_project! {
    /// The request body of [`StreamActivityLayer`](super::StreamActivityLayer): the client's, which
    /// ends with an error when the session ends.
    pub struct ActivityBody<B> {
        #[pin]
        inner: B,
        stream: Option<Box<Stream>>,
        is_over: bool,
    }
}

/// A stream of a session.
struct Stream {
    /// `None` until the body has to wait.
    ended: Option<SessionEnded>,
    session: Session,
    /// `None` if nothing counts as activity.
    touch: Option<StreamTouch>,
    counts_if: Option<Arc<CountsIf>>,
    touching: Option<Touching>,
    end: Arc<OnceLock<Rejection>>,
}

/// An activity that is being recorded.
type Touching = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

impl<B> ActivityBody<B> {
    pub(super) const fn plain(inner: B) -> Self {
        Self { inner, stream: None, is_over: false }
    }

    /// The body of a request of `session`, and the cell that says how it ended. `counts`: its data is
    /// activity.
    pub(super) fn of_session(
        inner: B,
        session: Session,
        counts: bool,
        counts_if: Option<Arc<CountsIf>>,
    ) -> (Self, Arc<OnceLock<Rejection>>) {
        let end = Arc::new(OnceLock::new());
        let touch = counts.then(|| session.stream_touch()).flatten();
        let stream = Stream {
            ended: None,
            session,
            touch,
            counts_if,
            touching: None,
            end: Arc::clone(&end),
        };
        (Self { inner, stream: Some(Box::new(stream)), is_over: false }, end)
    }
}

impl Stream {
    /// Records the activity that a data frame is, if one is due.
    fn record(&mut self, data: &[u8]) {
        let counts = |counts_if: &Arc<CountsIf>| counts_if(data);
        if data.is_empty()
            || self.touching.is_some()
            || !self.counts_if.as_ref().is_none_or(counts)
            || !self.touch.as_mut().is_some_and(StreamTouch::is_due)
        {
            return;
        }
        let session = self.session.clone();
        self.touching = Some(Box::pin(async move { session.touch().await }));
    }

    /// Completes when the stream has to end.
    fn poll_end(&mut self, is_waiting: bool, cx: &mut Context<'_>) -> Poll<Rejection> {
        if let Some(touching) = &mut self.touching
            && let Poll::Ready(recorded) = touching.as_mut().poll(cx)
        {
            self.touching = None;
            // An outage ends no session; the guard of the stream says when it lasts too long.
            if let Err(rejection) = recorded
                && rejection.kind() != RejectionKind::StoreUnavailable
            {
                return Poll::Ready(rejection);
            }
        }
        if is_waiting || self.ended.as_ref().is_some_and(SessionEnded::is_changed) {
            let ended = self.ended.get_or_insert_with(|| self.session.ended());
            return ended.poll_ended(cx);
        }
        Poll::Pending
    }
}

impl<B> Body for ActivityBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        if *this.is_over {
            return Poll::Ready(None);
        }
        let frame = this.inner.poll_frame(cx);
        let Some(stream) = this.stream else {
            return frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)));
        };
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            stream.record(data.chunk());
        }
        if let Poll::Ready(rejection) = stream.poll_end(frame.is_pending(), cx) {
            stream.end.get_or_init(|| rejection);
            (*this.stream, *this.is_over) = (None, true);
            return Poll::Ready(Some(Err(rejection.error())));
        }
        if let Poll::Ready(None | Some(Err(_))) = &frame {
            *this.stream = None;
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> fmt::Debug for ActivityBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivityBody(..)")
    }
}
