//! Ends a response body with its session.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use sync_wrapper::SyncWrapper;

use super::{BoxError, SESSION_ERROR, form::Form, place::Place};

/// A body that has always a frame at hand never waits: its session is looked at after this many
/// frames.
const FRAMES_PER_LOOK: u8 = 16;

/// What a response body belongs to: a session.
pub(crate) trait StreamOwner: Send + Sync {
    /// Begins to wait for its end. `None` if it never ends.
    fn open_stream(self: Arc<Self>) -> Option<Box<dyn StreamEnd + Send>>;
}

/// Waits for the end of a stream.
pub(crate) trait StreamEnd {
    /// Whether the stream may have to end: [`poll_end`](Self::poll_end) finds out.
    fn has_changed(&self) -> bool;

    /// Completes when the stream has to end. Not to be polled again then.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Box<dyn LastFrame + Send + Sync>>;
}

/// What the last frame of a stream says, in each form.
pub(crate) trait LastFrame {
    /// The trailers of gRPC.
    fn trailers(&self) -> HeaderMap;

    /// The frame of gRPC-Web; in base64 if it is `text`.
    fn web_trailers(&self, text: bool) -> Bytes;

    /// The envelope that ends a stream of the Connect protocol.
    fn envelope(&self) -> Bytes;

    /// The event of an event stream.
    fn event(&self) -> Bytes;

    fn error(&self) -> BoxError;
}

/// Ends a body with its session. Until it has to wait, that costs no allocation and no timer.
pub(super) struct Guard {
    state: State,
    place: Place,
}

enum State {
    /// Nothing ends the body.
    Off,
    /// The body has not waited yet.
    Idle(Arc<dyn StreamOwner>),
    /// The session has no end to wait for.
    Endless,
    /// Its timer is not `Sync`, but a body that others box must be.
    Armed(SyncWrapper<Box<dyn StreamEnd + Send>>),
    /// The session has ended. The body goes on to the end of its message.
    Ending(Box<dyn LastFrame + Send + Sync>),
}

/// What a guarded body returns.
pub(super) enum Guarded {
    Inner(Option<Result<Frame<Bytes>, BoxError>>),
    /// In place of the rest of the body.
    Last(Result<Frame<Bytes>, BoxError>),
}

impl Guard {
    pub(super) const fn off() -> Self {
        Self { state: State::Off, place: Place::new(Form::Raw) }
    }

    #[inline(always)]
    pub(super) fn new(form: Form, owner: Arc<dyn StreamOwner>) -> Self {
        Self { state: State::Idle(owner), place: Place::new(form) }
    }

    /// Whether a last frame is due.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(self.state, State::Ending(_))
    }

    #[inline]
    pub(super) fn poll_frame<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<Guarded>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        if let State::Armed(end) = &mut self.state
            && (end.get_mut().has_changed() || self.place.frames.is_multiple_of(FRAMES_PER_LOOK))
        {
            self.poll_end(cx);
        }
        loop {
            if let State::Ending(last) = &self.state
                && let Some(last) = self.place.last_frame(&**last)
            {
                return Poll::Ready(Guarded::Last(last));
            }
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Ready(frame) => frame.map(|frame| frame.map_err(Into::into)),
                Poll::Pending => {
                    if let State::Ending(last) = &self.state {
                        // Within a message.
                        return Poll::Ready(Guarded::Last(Err(last.error())));
                    }
                    self.arm(&*body);
                    self.poll_end(cx);
                    if !self.is_ending() {
                        return Poll::Pending;
                    }
                    continue;
                }
            };
            return Poll::Ready(Guarded::Inner(self.pass_on(frame, &*body)));
        }
    }

    #[inline]
    fn pass_on<B: Body>(
        &mut self,
        mut frame: Option<Result<Frame<Bytes>, BoxError>>,
        body: &B,
    ) -> Option<Result<Frame<Bytes>, BoxError>> {
        if let State::Off = self.state {
            return frame;
        }
        let data = match &mut frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_mut()
                    && trailers.keys().any(|name| *name == SESSION_ERROR)
                {
                    remove_forwarded_error(trailers);
                }
                frame.data_ref()
            }
            Some(Err(_)) | None => None,
        };
        // Trailers, an error and the end are the last of a body.
        let is_last = data.is_none_or(|data| self.place.advance(data));
        if is_last {
            self.state = State::Off;
        } else if self.place.frames == FRAMES_PER_LOOK {
            self.arm(body);
        }
        frame
    }

    /// Begins to wait for the end of the session.
    fn arm<B: Body>(&mut self, body: &B) {
        if !matches!(self.state, State::Idle(_)) {
            return;
        }
        if body.size_hint().exact().is_some() {
            // It has a length: nothing can be added.
            self.place.form = Form::Raw;
        }
        if let State::Idle(owner) = std::mem::replace(&mut self.state, State::Endless)
            && let Some(end) = owner.open_stream()
        {
            self.state = State::Armed(SyncWrapper::new(end));
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) {
        if let State::Armed(end) = &mut self.state
            && let Poll::Ready(last) = end.get_mut().poll_end(cx)
        {
            self.state = State::Ending(last);
        }
    }
}

/// Removes `Session-Error` from the trailers of a body that goes on to its own end. A handler that
/// forwards those of another service would otherwise tell its client that the session here has ended.
#[cold]
fn remove_forwarded_error(trailers: &mut HeaderMap) {
    trailers.remove(SESSION_ERROR);
    tracing::debug!("removed a session-error that is not of this service");
}

impl Place {
    /// The last frame, if it can be written here; an error where none ever can.
    fn last_frame(self, last: &dyn LastFrame) -> Option<Result<Frame<Bytes>, BoxError>> {
        let frame = match self.form {
            Form::Raw => return Some(Err(last.error())),
            _ if !self.is_boundary() => return None,
            Form::Grpc => Frame::trailers(last.trailers()),
            Form::GrpcWeb => Frame::data(last.web_trailers(false)),
            Form::GrpcWebText => Frame::data(last.web_trailers(true)),
            Form::Connect => Frame::data(last.envelope()),
            Form::EventStream => Frame::data(last.event()),
        };
        Some(Ok(frame))
    }
}
