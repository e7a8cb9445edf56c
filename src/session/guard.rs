//! A response body that ends with its session.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Response;

use super::{
    Inner, Session,
    end_watch::{EndWatch, Outlook},
};
use crate::body::{Form, LastFrame, SessionBody, StreamEnd, StreamOwner};

impl Session {
    /// The response to a request of this session: its body ends with the session.
    #[inline(always)]
    pub(crate) fn guard<B>(self, response: Response<B>) -> Response<SessionBody<B>> {
        let form = Form::from_headers(response.headers());
        response.map(|body| SessionBody::guarded(body, form, self.0))
    }
}

impl StreamOwner for Inner {
    fn open_stream(self: Arc<Self>) -> Option<Box<dyn StreamEnd + Send>> {
        // The session is dropped here: a stream keeps a part of it.
        EndWatch::new(&Session(self)).map(|watch| Box::new(watch) as _)
    }
}

impl StreamEnd for EndWatch {
    #[inline]
    fn has_changed(&self) -> bool {
        self.is_changed()
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Box<dyn LastFrame + Send + Sync>> {
        match self.poll(Duration::ZERO, cx) {
            Poll::Ready(Outlook::Ended(rejection)) => Poll::Ready(Box::new(rejection)),
            // An end that is coming is told only some time before it.
            Poll::Ready(Outlook::Ending(_)) | Poll::Pending => Poll::Pending,
        }
    }
}
