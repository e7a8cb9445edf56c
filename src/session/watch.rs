//! What becomes of a session, as events.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Session,
    end_watch::{EndWatch, Outlook},
};
use crate::{
    clock::Sleep, rejection::RejectionKind, rules::Timeouts, token::VerifiedToken,
    transport::TokenOrigin,
};

/// The warning comes at most this long before the end.
const LONGEST_WARNING: Duration = Duration::from_secs(60);

impl Session {
    /// Returns the events of the session from now on: for a WebSocket that tells its page, and for a
    /// task that needs the current claims.
    ///
    /// ```
    /// use tower_sliding_session::{RejectionKind, Session, SessionEvent};
    ///
    /// async fn follow(session: Session) -> Option<RejectionKind> {
    ///     let mut watch = session.watch();
    ///     while let Some(event) = watch.next().await {
    ///         match event {
    ///             SessionEvent::Renewed(session) => println!("{:?}", session.deadlines()),
    ///             SessionEvent::Ending(within) => println!("ends in {within:?}"),
    ///             SessionEvent::Ended(reason) => return Some(reason),
    ///             _ => {}
    ///         }
    ///     }
    ///     None
    /// }
    /// # let _ = follow;
    /// ```
    pub fn watch(&self) -> SessionWatch {
        let end = EndWatch::new(self);
        if let Some(end) = &end {
            end.follow(true);
        }
        let lead = self.enforcement().map_or(Duration::ZERO, |enforcement| {
            let policy = enforcement.policy(self.token());
            let idle = Timeouts::effective(self.session_claims(), &policy).idle;
            LONGEST_WARNING.min(idle / 2)
        });
        SessionWatch {
            // What was minted before is no event.
            renewed: end.as_ref().and_then(EndWatch::renewed),
            end,
            warning: EndWatch::new(self).map(Warning::Due),
            lead,
            origin: self.origin(),
        }
    }
}

/// What happened to a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// This node has minted a new token for it; with the session of that token and its claims.
    Renewed(Session),
    /// It ends after this time, unless there is activity. Told once for each deadline.
    Ending(Duration),
    /// It has ended, as [`Session::ended`] says. The last event.
    Ended(RejectionKind),
}

/// The events of [`Session::watch`]. Dropped, it leaves nothing behind.
#[must_use]
pub struct SessionWatch {
    /// `None` once the session has ended, or where no layer has checked it.
    end: Option<EndWatch>,
    warning: Option<Warning>,
    lead: Duration,
    /// The payload of the token that was told last.
    renewed: Option<Arc<str>>,
    origin: TokenOrigin,
}

enum Warning {
    Due(EndWatch),
    /// It was given. The next one is due after the deadline it was given for.
    Given(EndWatch, Sleep),
}

impl SessionWatch {
    /// How long before the end [`SessionEvent::Ending`] is told. Default: one minute, or half of the
    /// idle timeout if that is shorter. Zero for never.
    pub fn warn_before(mut self, lead: Duration) -> Self {
        self.lead = lead;
        self
    }

    /// Waits for the next event; `None` after the last one. A call that is dropped loses no event.
    pub async fn next(&mut self) -> Option<SessionEvent> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`next`](Self::next), for a stream of another crate.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<SessionEvent>> {
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        if let Poll::Ready(Outlook::Ended(rejection)) = end.poll(Duration::ZERO, cx) {
            end.follow(false);
            (self.end, self.warning) = (None, None);
            return Poll::Ready(Some(SessionEvent::Ended(rejection.kind())));
        }
        if let Some(session) = self.poll_renewed() {
            return Poll::Ready(Some(SessionEvent::Renewed(session)));
        }
        self.poll_warning(cx).map(|within| Some(SessionEvent::Ending(within)))
    }

    fn poll_renewed(&mut self) -> Option<Session> {
        let end = self.end.as_ref()?;
        let payload = end.renewed()?;
        if self.renewed.as_ref().is_some_and(|told| Arc::ptr_eq(told, &payload)) {
            return None;
        }
        let token = VerifiedToken::dangerous_from_payload(&payload).ok();
        self.renewed = Some(payload);
        let enforcement = Some(Arc::clone(end.enforcement()));
        Some(Session::new(Arc::new(token?), self.origin, enforcement, false))
    }

    fn poll_warning(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        if self.lead.is_zero() {
            return Poll::Pending;
        }
        loop {
            match self.warning.take() {
                None => return Poll::Pending,
                Some(Warning::Due(mut watch)) => {
                    let outlook = watch.poll(self.lead, cx);
                    let clock = Arc::clone(&watch.enforcement().clock);
                    match outlook {
                        Poll::Pending => {
                            self.warning = Some(Warning::Due(watch));
                            return Poll::Pending;
                        }
                        Poll::Ready(Outlook::Ending(until)) => {
                            let sleep = clock.sleep_until(until);
                            self.warning = Some(Warning::Given(watch, sleep));
                            return Poll::Ready(until.since(clock.now()));
                        }
                        // The other one says it.
                        Poll::Ready(Outlook::Ended(_)) => return Poll::Pending,
                    }
                }
                Some(Warning::Given(watch, mut sleep)) => {
                    if sleep.as_mut().poll(cx).is_pending() {
                        self.warning = Some(Warning::Given(watch, sleep));
                        return Poll::Pending;
                    }
                    self.warning = Some(Warning::Due(watch));
                }
            }
        }
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        if let Some(end) = &self.end {
            end.follow(false);
        }
    }
}

impl fmt::Debug for SessionWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWatch").field("lead", &self.lead).finish_non_exhaustive()
    }
}
