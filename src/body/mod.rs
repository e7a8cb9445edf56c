//! The response body of this crate's services.
//!
//! - `guard`: ends a body with its session
//! - `form`, `place`: where in a body its end may be written

mod form;
mod guard;
mod place;

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use self::guard::Guarded;
pub(crate) use self::{
    form::{Form, is_media_type},
    guard::{Armed, Guard, LastFrame, StreamEnd, StreamOwner},
};

/// The response header, and the trailer, with the
/// [code](crate::rejection::RejectionKind::code) of a rejection, in every protocol: a client that does
/// not see the body, such as one that sent HEAD, reads it there.
pub(crate) const SESSION_ERROR: HeaderName = HeaderName::from_static("session-error");

/// The error of a boxed body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The inner service's body, which ends with its session; or the bytes of a rejection.
    pub struct SessionBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B, guard: Guard },
        Rejection { bytes: Option<Bytes> },
    }
}

impl<B> SessionBody<B> {
    pub(crate) const fn inner(body: B) -> Self {
        Self::guarded(body, Guard::Off)
    }

    /// A body that `guard` ends.
    #[inline(always)]
    pub(crate) const fn guarded(body: B, guard: Guard) -> Self {
        Self { kind: Kind::Inner { body, guard } }
    }

    /// The inner one of two bodies, of which the outer one guards nothing.
    pub(crate) fn flat(body: SessionBody<Self>) -> Self {
        match body.kind {
            Kind::Inner { body, .. } => body,
            Kind::Rejection { bytes } => Self { kind: Kind::Rejection { bytes } },
        }
    }

    pub(crate) fn rejection(bytes: Bytes) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self { kind: Kind::Rejection { bytes } }
    }
}

/// An empty body.
impl<B> Default for SessionBody<B> {
    fn default() -> Self {
        Self::rejection(Bytes::new())
    }
}

impl<B> fmt::Debug for SessionBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionBody(..)")
    }
}

impl<B> Body for SessionBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut kind = self.project().kind;
        let last = match kind.as_mut().project() {
            KindProjection::Inner { body, guard } => match ready!(guard.poll_frame(body, cx)) {
                Guarded::Inner(frame) => return Poll::Ready(frame),
                Guarded::Last(last) => last,
            },
            KindProjection::Rejection { bytes } => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
        };
        // Drops the inner body in its place.
        kind.set(Kind::Rejection { bytes: None });
        Poll::Ready(Some(last))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, guard } => !guard.is_ending() && body.is_end_stream(),
            Kind::Rejection { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Rejection { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
