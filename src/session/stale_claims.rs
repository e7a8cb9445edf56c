//! Tokens whose claims are stale: the claims of their user have changed since they were minted (P37).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    Enforcement, Rejected, Session,
    live_claims::{Answer, LiveClaims},
};
use crate::{
    maybe_ready::{StoreError, Timed},
    rejection::{Rejection, RejectionKind, RevocationCause},
    time::Timestamp,
    token::{ClaimsSource, CurrentClaims, VerifiedToken, ask_claims_source},
};

/// How many questions one request asks: claims may change again while the source answers.
const MAX_QUESTIONS: u8 = 8;

/// A question to the claims source that a request waits for.
pub(crate) struct Question {
    answer: Timed<Arc<Answer>>,
    /// How many the request has asked, this one included.
    count: u8,
}

impl Enforcement {
    /// Asks `source` for the claims of requests whose claims are stale.
    pub(crate) fn with_claims_source(mut self, source: Arc<dyn ClaimsSource>) -> Self {
        self.live_claims = Some(Arc::new(LiveClaims::new(source)));
        self
    }

    /// The question that a request of `session` asks before its handler, if the claims are stale: one
    /// atomic load where no number is greater than that of the token. `asked`: how many it has asked
    /// already.
    #[inline(always)]
    pub(crate) fn question_of(self: &Arc<Self>, session: &Session, asked: u8) -> Option<Question> {
        let (changes, token) = (self.claims_changes.as_ref()?, session.token());
        let number = changes.number_after(token.claims().claims_at, || *token.scopes())?;
        self.ask_about(token, number, asked)
    }

    #[cold]
    fn ask_about(
        self: &Arc<Self>,
        token: &Arc<VerifiedToken>,
        number: Timestamp,
        asked: u8,
    ) -> Option<Question> {
        let live = self.live_claims.as_ref()?;
        let answer = live.ask(token.user_key(), token.session_key(), number, || {
            let (enforcement, live) = (Arc::clone(self), Arc::clone(live));
            let token = Arc::clone(token);
            async move { enforcement.current_claims(&live, &token).await }
        });
        let answer = Timed::new(answer, &*self.clock, live.time_limit());
        Some(Question { answer, count: asked + 1 })
    }

    /// Asks the source, and ends the session if the source says so.
    async fn current_claims(
        &self,
        live: &LiveClaims,
        token: &VerifiedToken,
    ) -> Result<CurrentClaims, StoreError> {
        let clock = &*self.clock;
        let turn = live.turn(token.user_key(), clock).await?;
        let changes = self.claims_changes.as_deref();
        let current = ask_claims_source(turn.source, token, changes, clock).await?;
        if let CurrentClaims::Ended = current {
            self.sign_out_by_token(token).await.map_err(StoreError::new)?;
        }
        Ok(current)
    }
}

impl Question {
    /// How many questions the request has asked.
    pub(crate) const fn count(&self) -> u8 {
        self.count
    }

    /// The session with current claims, once the source has answered for `session`.
    pub(crate) fn poll_session(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Session, Rejected>> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        let rejection: Rejection = match answer.as_ref().map(|answer| (&answer.claims, answer)) {
            Ok((CurrentClaims::Granted(claims), answer)) if self.count < MAX_QUESTIONS => {
                let token = session.token().with_claims(claims);
                return Poll::Ready(Ok(session.with_claims(token, Arc::clone(answer))));
            }
            Ok((CurrentClaims::Denied, _)) => RejectionKind::AccessDenied.into(),
            Ok((CurrentClaims::Ended, _)) => Rejection::session_revoked(RevocationCause::Tombstone),
            Ok((CurrentClaims::Granted(_), _)) | Err(_) => RejectionKind::StoreUnavailable.into(),
        };
        Poll::Ready(Err(Rejected { rejection, last_activity: session.last_activity() }))
    }
}
