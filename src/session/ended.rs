//! The end of a session, as a future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    Session,
    end_watch::{EndWatch, Outlook},
};
use crate::rejection::{Rejection, RejectionKind};

impl Session {
    /// Returns a future that completes with the reason when the session has ended: for a WebSocket,
    /// which is closed then with the code 3000 and [`RejectionKind::code`] as the reason, and for a
    /// task that works for the user.
    ///
    /// Its reason is `SessionExpiredIdle`, `SessionExpiredAbsolute` or `SessionRevoked`;
    /// `StoreUnavailable` if the store could not be asked for 30 s; `TokenExpired` if no store knows
    /// the session. Activity moves the deadline, on any node; the `exp` of the token does not matter
    /// while a store knows the session. A revocation on this node completes it at once, on another node
    /// when this one has read of it. A session that no layer of this crate has checked never ends.
    ///
    /// ```
    /// use tower_sliding_session::{RejectionKind, Session};
    ///
    /// async fn feed(session: Session) -> RejectionKind {
    ///     let mut ended = session.ended();
    ///     loop {
    ///         tokio::select! {
    ///             reason = &mut ended => return reason,
    ///             () = tokio::task::yield_now() => {} // the next message
    ///         }
    ///     }
    /// }
    /// # let _ = feed;
    /// ```
    pub fn ended(&self) -> SessionEnded {
        SessionEnded(EndWatch::new(self))
    }
}

/// The future of [`Session::ended`]. Dropped, it leaves nothing behind.
#[must_use = "futures do nothing unless polled"]
pub struct SessionEnded(Option<EndWatch>);

impl SessionEnded {
    /// As polling, with the whole rejection.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Rejection> {
        let Some(watch) = &mut self.0 else { return Poll::Pending };
        loop {
            if let Outlook::Ended(rejection) = ready!(watch.poll(Duration::ZERO, cx)) {
                self.0 = None;
                return Poll::Ready(rejection);
            }
        }
    }

    /// Whether the session may have ended: the next poll asks the store.
    #[inline]
    pub(crate) fn is_changed(&self) -> bool {
        self.0.as_ref().is_some_and(EndWatch::is_changed)
    }
}

impl Future for SessionEnded {
    type Output = RejectionKind;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RejectionKind> {
        self.poll_ended(cx).map(|rejection| rejection.kind())
    }
}

impl fmt::Debug for SessionEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionEnded(..)")
    }
}
