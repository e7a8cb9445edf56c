//! Activity: what a store is asked to record.

use std::{sync::Arc, time::Duration};

use super::{Enforcement, Rejected, Session, SessionCheck, StoreAnswer};
use crate::{
    clock::Clock,
    maybe_ready::{REQUEST_TIME_LIMIT, within},
    policy::Policy,
    rejection::{Rejection, RejectionKind},
    rules::{self, SessionStatus, Timeouts},
    store::{Touch, TouchOutcome},
    time::Timestamp,
    token::{Purpose, VerifiedToken},
};

impl Session {
    /// Records an activity of the session now, as a request of class `User` does: of what the client
    /// sends over a WebSocket, or of a task that works for the user. A store that others share writes
    /// one activity per touch interval, however many there are.
    ///
    /// # Errors
    /// Why the session has ended; `store_unavailable` if it could not be recorded within 250 ms. After
    /// `exp` a session that the store does not know is `token_expired`.
    pub async fn touch(&self) -> Result<(), Rejection> {
        let enforcement = self.enforcement().ok_or(RejectionKind::StoreUnavailable)?;
        let now = enforcement.clock.now();
        let last_activity = match enforcement.record_activity(self.token(), now).await {
            Ok(last_activity) => last_activity,
            Err(rejected) => return Err(rejected.rejection),
        };
        self.set_last_activity(last_activity);
        Ok(())
    }
}

/// The longest time between two activities that a stream records, unless a sixtieth of the idle timeout
/// is shorter.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);
const INTERVALS_PER_IDLE: u32 = 60;

/// Which messages of a stream are recorded: not each of many in a short time.
pub(crate) struct StreamTouch {
    clock: Arc<dyn Clock>,
    interval: Duration,
    next: Timestamp,
}

impl StreamTouch {
    /// Whether a message now is to be recorded.
    pub(crate) fn is_due(&mut self) -> bool {
        let now = self.clock.now();
        let is_due = now >= self.next;
        if is_due {
            self.next = now + self.interval;
        }
        is_due
    }
}

impl Session {
    /// Which messages of a stream of this session are recorded. `None` where no layer has checked it.
    pub(crate) fn stream_touch(&self) -> Option<StreamTouch> {
        let enforcement = self.enforcement()?;
        let policy = enforcement.policy(self.token());
        let idle = Timeouts::effective(self.session_claims(), &policy).idle;
        Some(StreamTouch {
            clock: Arc::clone(&enforcement.clock),
            interval: LONGEST_INTERVAL.min(idle / INTERVALS_PER_IDLE),
            next: Timestamp::EPOCH,
        })
    }
}

impl Enforcement {
    /// The touch of an activity at `now`.
    #[inline(always)]
    pub(crate) fn new_touch(
        &self,
        token: &VerifiedToken,
        policy: &Policy,
        now: Timestamp,
    ) -> Touch {
        let claims = token.claims();
        let timeouts = Timeouts::effective(claims, policy);
        Touch {
            now,
            token_activity: claims.proven_activity(now),
            // Most sessions are known, and most others are active by their token alone.
            unknown_activity: claims.proven_activity(now),
            idle: timeouts.idle,
            kept_for: timeouts.idle.max(if claims.is_minted_elsewhere() {
                // Unknown until then, it would be active again.
                claims.exp.since(now)
            } else {
                timeouts.lifetime
            }),
            generation: claims.generation,
            known_only: self.rejects_unknown(),
        }
    }

    /// A store says that the session has been idle since `at`. It may not know the session, or have lost
    /// later activity, and the attempts of an outage may follow that activity: then the touch is repeated with the last
    /// activity that is assumed. `None` if that is no later.
    #[cold]
    pub(crate) fn repeated_touch(
        &self,
        token: &VerifiedToken,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<Touch> {
        let policy = self.policy(token);
        let with_attempts = |at| self.with_attempts(token, at, &policy);
        let touch = self.new_touch(token, &policy, now);
        // A store that knows the session for certain ignores it.
        let unknown_activity = at.max(self.unknown_activity(token, Purpose::Access, &policy, now));
        let (token_activity, unknown_activity) =
            (with_attempts(at), with_attempts(unknown_activity));
        let is_later = token_activity != at || unknown_activity != at;
        is_later.then_some(Touch { token_activity, unknown_activity, ..touch })
    }

    /// Records an activity of an open session, whose token may have expired (P36).
    async fn record_activity(
        &self,
        token: &VerifiedToken,
        now: Timestamp,
    ) -> Result<Timestamp, Rejected> {
        let answer = self.touch_open(token, now).await;
        let ends_with_token = answer.is_unknown();
        let check = SessionCheck { ends_with_token, ..SessionCheck::new(token, answer, now) };
        let enforced = self.enforce(&check);
        if let Err(rejected) = &enforced {
            self.record_attempt(token, &rejected.rejection, now);
        }
        enforced
    }

    async fn touch_open(&self, token: &VerifiedToken, now: Timestamp) -> StoreAnswer {
        let Some(store) = self.store() else { return StoreAnswer::NotAsked };
        let (claims, policy) = (token.claims(), self.policy(token));
        let is_active = matches!(
            rules::session_status(claims, None, &policy, now),
            SessionStatus::Active { .. }
        );
        if !is_active || !policy.records_activity() {
            let answer = store.get(token.keys());
            return within(answer, &*self.clock, REQUEST_TIME_LIMIT).await.into();
        }
        let is_token_active =
            matches!(rules::status(claims, None, &policy, now), SessionStatus::Active { .. });
        let mut touch = self.new_touch(token, &policy, now);
        // An expired token begins no session.
        touch.known_only |= !is_token_active;
        loop {
            let answer = store.touch(token.keys(), touch);
            let answer = within(answer, &*self.clock, REQUEST_TIME_LIMIT).await.into();
            let StoreAnswer::Touch(TouchOutcome::Idle(at)) = answer else { return answer };
            match self.repeated_touch(token, at, now) {
                Some(repeated)
                    if repeated.token_activity > touch.token_activity
                        || repeated.unknown_activity > touch.unknown_activity =>
                {
                    touch = Touch { known_only: touch.known_only, ..repeated };
                }
                _ => return answer,
            }
        }
    }
}
