//! A request body that can be sent again.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

/// How much of a body is kept for a repetition, in bytes.
const MAX_KEPT: usize = 64 * 1024;

/// The request body that the wrapped service sends.
///
/// What it has sent is kept by reference count, up to 64 KiB. When the service drops it, that and the
/// rest return to the request, which may be sent again: a stream too.
pub struct ClientBody<B> {
    kind: Kind<B>,
}

enum Kind<B> {
    Once(B),
    Returning(Returning<B>),
}

/// A body that returns to `origin` when it is dropped.
struct Returning<B> {
    /// `None` once it has returned.
    content: Option<Content<B>>,
    /// How many of the kept frames were sent this time.
    sent: usize,
    origin: Arc<Mutex<Origin<B>>>,
}

struct Content<B> {
    kept: Vec<Kept>,
    kept_bytes: usize,
    rest: B,
    has_ended: bool,
}

enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

struct Origin<B> {
    returned: Option<Content<B>>,
    /// It failed, or too much of it was sent.
    is_lost: bool,
    waker: Option<Waker>,
}

/// Where a body that was sent returns to.
pub(super) struct SentBody<B>(Arc<Mutex<Origin<B>>>);

impl<B> ClientBody<B> {
    /// A body that is sent once.
    pub(super) const fn once(body: B) -> Self {
        Self { kind: Kind::Once(body) }
    }

    /// A body that can be sent again, and where it returns to.
    pub(super) fn returning(body: B) -> (Self, SentBody<B>) {
        let content = Content { kept: Vec::new(), kept_bytes: 0, rest: body, has_ended: false };
        let origin = Arc::new(Mutex::new(Origin { returned: None, is_lost: false, waker: None }));
        (Self::from_content(content, Arc::clone(&origin)), SentBody(origin))
    }

    fn from_content(content: Content<B>, origin: Arc<Mutex<Origin<B>>>) -> Self {
        Self { kind: Kind::Returning(Returning { content: Some(content), sent: 0, origin }) }
    }
}

impl<B> SentBody<B> {
    /// The body, once the service has dropped it; `None` if it cannot be sent again.
    pub(super) fn poll_returned(&self, cx: &mut Context<'_>) -> Poll<Option<ClientBody<B>>> {
        let mut origin = lock(&self.0);
        if origin.is_lost {
            return Poll::Ready(None);
        }
        let Some(content) = origin.returned.take() else {
            origin.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(Some(ClientBody::from_content(content, Arc::clone(&self.0))))
    }
}

fn lock<B>(origin: &Mutex<Origin<B>>) -> MutexGuard<'_, Origin<B>> {
    origin.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<B> Returning<B> {
    fn settle(&self, settle: impl FnOnce(&mut Origin<B>)) {
        let waker = {
            let mut origin = lock(&self.origin);
            settle(&mut origin);
            origin.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<B> Returning<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(content) = &mut self.content else { return Poll::Ready(None) };
        if let Some(kept) = content.kept.get(self.sent) {
            self.sent += 1;
            return Poll::Ready(Some(Ok(kept.to_frame())));
        }
        if content.has_ended {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut content.rest).poll_frame(cx));
        let is_kept = match &frame {
            Some(Ok(frame)) => content.keep(frame),
            Some(Err(_)) => false,
            None => {
                content.has_ended = true;
                true
            }
        };
        self.sent = content.kept.len();
        if !is_kept {
            self.settle(|origin| origin.is_lost = true);
        }
        Poll::Ready(frame)
    }
}

impl<B> Content<B> {
    /// Keeps `frame`; false if too much was sent.
    fn keep(&mut self, frame: &Frame<Bytes>) -> bool {
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Kept::Data(data.clone()),
            (None, Some(trailers)) => Kept::Trailers(trailers.clone()),
            (None, None) => return false,
        };
        self.kept_bytes = self.kept_bytes.saturating_add(kept.len());
        if self.kept_bytes > MAX_KEPT {
            self.kept = Vec::new();
            return false;
        }
        self.kept.push(kept);
        true
    }
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }

    fn to_frame(&self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data.clone()),
            Self::Trailers(trailers) => Frame::trailers(trailers.clone()),
        }
    }
}

impl<B> Drop for Returning<B> {
    fn drop(&mut self) {
        let content = self.content.take();
        self.settle(|origin| origin.returned = content);
    }
}

impl<B> Body for ClientBody<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.kind {
            Kind::Once(body) => Pin::new(body).poll_frame(cx),
            Kind::Returning(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Once(body) => body.is_end_stream(),
            Kind::Returning(Returning { content, sent, .. }) => {
                content.as_ref().is_none_or(|content| {
                    *sent >= content.kept.len()
                        && (content.has_ended || content.rest.is_end_stream())
                })
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let (content, sent) = match &self.kind {
            Kind::Once(body) => return body.size_hint(),
            Kind::Returning(Returning { content: Some(content), sent, .. }) => (content, *sent),
            Kind::Returning(_) => return SizeHint::with_exact(0),
        };
        let unsent = content.kept.get(sent..).unwrap_or_default().iter().map(Kept::len);
        let unsent = unsent.sum::<usize>() as u64;
        let rest = content.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(unsent.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(unsent)) {
            hint.set_upper(upper);
        }
        hint
    }
}

impl<B> fmt::Debug for ClientBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBody(..)")
    }
}
