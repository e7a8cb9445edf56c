//! A response body that ends with its session.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderMap;

use super::{
    Inner, Session,
    end_watch::{EndWatch, Outlook},
};
use crate::body::{Armed, Form, Guard, LastFrame, StreamEnd, StreamOwner};

impl Session {
    /// Ends the body of the response with `headers` to a request of this session.
    #[inline(always)]
    pub(crate) fn into_guard(self, headers: &HeaderMap) -> Guard {
        Guard::new(Form::from_headers(headers), self.0)
    }
}

impl StreamOwner for Inner {
    fn open_stream(self: Arc<Self>) -> Option<Box<Armed>> {
        // The session is dropped here: a stream keeps a part of it.
        EndWatch::new(&Session(self)).map(|watch| Box::new(Armed::new(watch)) as _)
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
