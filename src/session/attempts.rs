//! Attempts: what the store may not know of activity after an outage.

use super::{Enforcement, SessionCheck};
use crate::{
    policy::Policy,
    rejection::Rejection,
    rules::Timeouts,
    store::{SETTLING, Touch},
    time::Timestamp,
    token::VerifiedToken,
};

impl Enforcement {
    /// Remembers a request that the store did not record: it counts as activity once the store answers
    /// again. Of requests that were rejected otherwise nothing is remembered.
    #[cold]
    pub(crate) fn record_attempt(
        &self,
        token: &VerifiedToken,
        rejection: &Rejection,
        now: Timestamp,
    ) {
        // Of a session that the store knows to be idle this is none.
        if !rejection.is_outage() {
            return;
        }
        let Some(writer) = self.attempt_writer() else { return };
        let now = writer.store.correct_time(now);
        let touch = self.new_touch(token, &self.policy(token), now);
        // It was not answered, so it does not show that the client has tokens of this generation.
        self.attempts.record(token.keys(), Touch { generation: 0, ..touch });
        writer.start();
    }

    /// The later of `last_activity` and of the attempts that follow it.
    #[inline]
    pub(crate) fn with_attempts(
        &self,
        token: &VerifiedToken,
        last_activity: Timestamp,
        policy: &Policy,
    ) -> Timestamp {
        let idle = Timeouts::effective(token.claims(), policy).idle;
        self.attempts.last_activity(|| token.session_key(), last_activity, idle)
    }

    /// Whether a session that is idle, as far as the store knows, may have been active on another node that
    /// has not written it yet: it was active when an outage began that has just ended, or this node could
    /// not serve it just now either.
    pub(super) fn may_lack_activity(&self, check: &SessionCheck<'_>, policy: &Policy) -> bool {
        let (token, now) = (check.token, check.now);
        if let Some(attempt) = self.attempts.last_attempt(&token.session_key())
            && now < attempt + SETTLING
        {
            return true;
        }
        let Some(outage) = self.store().and_then(|store| store.last_outage()) else { return false };
        let idle = Timeouts::effective(token.claims(), policy).idle;
        now < outage.until + SETTLING && outage.from < check.last_activity(self, policy) + idle
    }
}
