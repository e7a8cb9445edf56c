//! Ends a response body with its session.

use std::{
    mem,
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
    fn open_stream(self: Arc<Self>) -> Option<Box<Armed>>;
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
///
/// A request pays for every byte of it, since its response is moved several times: the variants share
/// the niche of [`Form`] with the body that contains them.
#[derive(Default)]
pub(crate) enum Guard {
    /// Nothing ends the body.
    #[default]
    Off,
    /// The body has not waited yet.
    Idle { owner: Arc<dyn StreamOwner>, place: Place },
    /// The session has no end to wait for.
    Endless,
    /// Its timer is not `Sync`, but a body that others box must be.
    Armed(SyncWrapper<Box<Armed>>),
    /// The session has ended. The body goes on to the end of its message.
    Ending(Box<Ending>),
}

/// A stream that waits for its end: in one allocation, with the place in the body.
pub(crate) struct Armed<E = dyn StreamEnd + Send>
where
    E: ?Sized,
{
    place: Place,
    end: E,
}

pub(crate) struct Ending {
    place: Place,
    last: Box<dyn LastFrame + Send + Sync>,
}

/// What a guarded body returns.
pub(super) enum Guarded {
    Inner(Option<Result<Frame<Bytes>, BoxError>>),
    /// In place of the rest of the body.
    Last(Result<Frame<Bytes>, BoxError>),
}

impl<E> Armed<E> {
    /// Waits for `end`.
    pub(crate) const fn new(end: E) -> Self {
        Self { place: Place::new(Form::Raw), end }
    }
}

impl Armed {
    /// Whether the session is to be looked at before the next frame.
    fn is_due(&self) -> bool {
        self.end.has_changed() || self.place.frames.is_multiple_of(FRAMES_PER_LOOK)
    }
}

impl Guard {
    /// Ends a body of `form` with `owner`.
    #[inline(always)]
    pub(crate) const fn new(form: Form, owner: Arc<dyn StreamOwner>) -> Self {
        Self::Idle { owner, place: Place::new(form) }
    }

    /// Whether a last frame is due.
    pub(super) const fn is_ending(&self) -> bool {
        matches!(self, Self::Ending(_))
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
        if let Self::Armed(armed) = self
            && armed.get_mut().is_due()
        {
            self.poll_end(cx);
        }
        loop {
            if let Self::Ending(ending) = self
                && let Some(last) = ending.place.last_frame(&*ending.last)
            {
                return Poll::Ready(Guarded::Last(last));
            }
            if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
                let frame = frame.map(|frame| frame.map_err(Into::into));
                return Poll::Ready(Guarded::Inner(self.pass_on(frame, &*body)));
            }
            if let Self::Ending(ending) = self {
                // Within a message.
                return Poll::Ready(Guarded::Last(Err(ending.last.error())));
            }
            self.arm(&*body);
            self.poll_end(cx);
            if !self.is_ending() {
                return Poll::Pending;
            }
        }
    }

    #[inline]
    fn pass_on<B: Body>(
        &mut self,
        mut frame: Option<Result<Frame<Bytes>, BoxError>>,
        body: &B,
    ) -> Option<Result<Frame<Bytes>, BoxError>> {
        if let Self::Off = self {
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
        let place = match self {
            Self::Off | Self::Endless => return frame,
            Self::Idle { place, .. } => place,
            Self::Armed(armed) => &mut armed.get_mut().place,
            Self::Ending(ending) => &mut ending.place,
        };
        // Trailers, an error and the end are the last of a body.
        if data.is_none_or(|data| place.advance(data)) {
            *self = Self::Off;
        } else if place.frames == FRAMES_PER_LOOK {
            self.arm(body);
        }
        frame
    }

    /// Begins to wait for the end of the session.
    fn arm<B: Body>(&mut self, body: &B) {
        if !matches!(self, Self::Idle { .. }) {
            return;
        }
        if let Self::Idle { owner, mut place } = mem::replace(self, Self::Endless)
            && let Some(mut armed) = owner.open_stream()
        {
            if body.size_hint().exact().is_some() {
                // It has a length: nothing can be added.
                place.form = Form::Raw;
            }
            armed.place = place;
            *self = Self::Armed(SyncWrapper::new(armed));
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) {
        if let Self::Armed(armed) = self {
            let Armed { place, end } = &mut **armed.get_mut();
            if let Poll::Ready(last) = end.poll_end(cx) {
                *self = Self::Ending(Box::new(Ending { place: *place, last }));
            }
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

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;
    use crate::body::SessionBody;

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Guard>(), 24);
        let body = size_of::<Full<Bytes>>();
        assert_eq!(size_of::<SessionBody<Full<Bytes>>>(), body + size_of::<Guard>());
    }
}
