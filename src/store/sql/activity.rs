//! Touch and get: the node's cache first, then the database.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use super::{Inner, value::Args};
use crate::{
    clock::Sleep,
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        StoredSession, Touch, TouchOutcome,
        node_cache::{Cached, CachedTouch, Stored, touch_interval},
    },
    time::Timestamp,
};

/// How often a touch is repeated because the session changed between its statements.
const ATTEMPTS: usize = 4;

/// How long a request waits for the write of an activity of a session that is known to be active;
/// less than a layer waits for the store.
const WRITE_TIME_LIMIT: Duration = Duration::from_millis(150);

/// A session's row.
struct Known {
    last_seen: Timestamp,
    idle: Duration,
    ended_until: Option<Timestamp>,
}

impl Inner {
    /// Returns the answer to a touch that the cache knows.
    pub(super) fn touch_cached(&self, session: &StoreKey, touch: Touch) -> Option<TouchOutcome> {
        match self.node_cache.touch(session, touch) {
            CachedTouch::Ended => Some(TouchOutcome::Ended),
            CachedTouch::Active(before) => Some(TouchOutcome::Active(Some(before))),
            CachedTouch::Ask(_) => None,
        }
    }

    pub(super) async fn touch(
        &self,
        session: StoreKey,
        touch: Touch,
    ) -> Result<TouchOutcome, StoreError> {
        self.sync_if_stale().await?;
        let cached = match self.node_cache.touch(&session, touch) {
            CachedTouch::Ended => return Ok(TouchOutcome::Ended),
            CachedTouch::Active(before) => return Ok(TouchOutcome::Active(Some(before))),
            CachedTouch::Ask(cached) => cached,
        };
        let touched = self.touch_exclusively(session, touch);
        let Some(cached) = cached.filter(|cached| cached.is_active) else { return touched.await };
        // This node has read the latest revocations: a write that fails rejects nothing.
        let limit = self.clock.sleep_until(self.clock.now() + WRITE_TIME_LIMIT);
        match in_time(touched, limit).await {
            Some(Ok(touched)) => Ok(touched),
            _ if self.node_cache.raise(&session, touch.now) => {
                Ok(TouchOutcome::Active(Some(cached.last_seen)))
            }
            _ => Ok(TouchOutcome::Ended),
        }
    }

    /// Concurrent requests of one session: the first reads the database, the others find its answer
    /// in the cache.
    async fn touch_exclusively(
        &self,
        session: StoreKey,
        touch: Touch,
    ) -> Result<TouchOutcome, StoreError> {
        let _lock = self.lock_of(&session).lock().await;
        let generation = self.node_cache.generation();
        match self.node_cache.touch(&session, touch) {
            CachedTouch::Ended => Ok(TouchOutcome::Ended),
            CachedTouch::Active(before) => Ok(TouchOutcome::Active(Some(before))),
            CachedTouch::Ask(cached) => self.touch_stored(session, touch, cached, generation).await,
        }
    }

    async fn touch_stored(
        &self,
        session: StoreKey,
        touch: Touch,
        cached: Option<Cached>,
        generation: u32,
    ) -> Result<TouchOutcome, StoreError> {
        // An activity that was admitted here and is not written yet counts too.
        let seen_here = cached.map(|cached| cached.last_seen);
        let activity = seen_here.map_or(touch.token_activity, |it| it.max(touch.token_activity));
        let remember = |last_seen: Timestamp| {
            let stored = Stored { last_seen, idle: touch.idle, generation };
            self.node_cache.remember(session, stored, touch.now)
        };
        let active = |before| {
            if remember(touch.now) { TouchOutcome::Active(before) } else { TouchOutcome::Ended }
        };
        if cached.is_some_and(|cached| cached.is_active)
            && self.write_activity(session, touch, activity).await?
        {
            return Ok(active(seen_here));
        }
        for _ in 0..ATTEMPTS {
            let Some(known) = self.known(session).await? else {
                if touch.known_only {
                    return Ok(TouchOutcome::Unknown);
                }
                if touch.now >= activity + touch.idle {
                    return Ok(TouchOutcome::Idle(activity));
                }
                if self.begin_entry(session, touch).await? {
                    return Ok(active(None));
                }
                continue;
            };
            if let Some(until) = known.ended_until {
                self.node_cache.end(session, until, touch.now);
                return Ok(TouchOutcome::Ended);
            }
            let before = seen_here.map_or(known.last_seen, |it| it.max(known.last_seen));
            let last_activity = known.last_seen.max(activity);
            if touch.now >= last_activity + touch.idle {
                return Ok(TouchOutcome::Idle(last_activity));
            }
            // Another node has written it within the touch interval.
            if touch.now < known.last_seen + touch_interval(touch.idle) {
                let is_active = remember(known.last_seen);
                return Ok(if is_active {
                    TouchOutcome::Active(Some(before))
                } else {
                    TouchOutcome::Ended
                });
            }
            if self.write_activity(session, touch, activity).await? {
                return Ok(active(Some(before)));
            }
        }
        Err(StoreError::new("a session changed too often while it was touched"))
    }

    pub(super) async fn get(&self, session: StoreKey) -> Result<StoredSession, StoreError> {
        self.sync_if_stale().await?;
        let _lock = self.lock_of(&session).lock().await;
        let generation = self.node_cache.generation();
        let now = self.clock.now();
        if let Some(stored) = self.node_cache.get(&session, now) {
            return Ok(stored);
        }
        let Some(known) = self.known(session).await? else { return Ok(StoredSession::Unknown) };
        if let Some(until) = known.ended_until {
            self.node_cache.end(session, until, now);
            return Ok(StoredSession::Ended);
        }
        let last_seen = self.node_cache.last_seen(&session, known.last_seen);
        if now < last_seen + known.idle {
            let stored = Stored { last_seen: known.last_seen, idle: known.idle, generation };
            if !self.node_cache.remember(session, stored, known.last_seen) {
                return Ok(StoredSession::Ended);
            }
        }
        Ok(StoredSession::Active(last_seen))
    }

    async fn known(&self, session: StoreKey) -> Result<Option<Known>, StoreError> {
        let sql = "SELECT last_seen, idle, ended_until FROM tss_sessions WHERE key = $1";
        let rows = self.database.fetch(sql, Args::new().key(session)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Known {
            last_seen: row.time(0)?,
            idle: row.span(1)?,
            ended_until: row.maybe_time(2)?,
        }))
    }

    /// Writes an activity if the session is active. Returns whether it did.
    async fn write_activity(
        &self,
        session: StoreKey,
        touch: Touch,
        activity: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE tss_sessions SET
                last_seen = CASE WHEN last_seen < $2 THEN $2 ELSE last_seen END,
                idle = $3,
                forget_at = CASE WHEN sid IS NULL THEN $2 + $3 ELSE forget_at END
            WHERE key = $1 AND ended_until IS NULL
                AND $2 < CASE WHEN last_seen < $4 THEN $4 ELSE last_seen END + $3";
        let args = Args::new().key(session).time(touch.now).span(touch.idle).time(activity);
        Ok(self.database.execute(sql, args).await? > 0)
    }

    /// Inserts the row of an unknown session. Returns `false` if it has one by now.
    async fn begin_entry(&self, session: StoreKey, touch: Touch) -> Result<bool, StoreError> {
        let sql = "INSERT INTO tss_sessions (key, last_seen, idle, forget_at)
            VALUES ($1, $2, $3, $2 + $3) ON CONFLICT (key) DO NOTHING";
        let args = Args::new().key(session).time(touch.now).span(touch.idle);
        Ok(self.database.execute(sql, args).await? > 0)
    }
}

/// Returns the answer, or `None` if the limit comes first.
async fn in_time<T>(answer: impl Future<Output = T>, mut limit: Sleep) -> Option<T> {
    let mut answer = pin!(answer);
    poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| None),
    })
    .await
}
