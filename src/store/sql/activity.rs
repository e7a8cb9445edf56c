//! Touch and get: the node's cache first, then the database. A request waits for what it reads; what
//! it writes follows later, many activities in one statement.

use std::sync::Arc;

use super::{
    Inner,
    session_reads::Known,
    value::{Args, placeholders},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{
        StoredSession, Touch, TouchOutcome,
        node_cache::{CachedTouch, Unwritten},
    },
    time::Timestamp,
};

/// How many activities one statement writes.
const PIECE: usize = 500;

const COLUMN_COUNT: usize = 5;

impl Inner {
    /// Returns the answer to a touch that the cache knows.
    pub(super) fn touch_cached(&self, session: &StoreKey, touch: Touch) -> Option<TouchOutcome> {
        match self.node_cache.touch(session, touch) {
            CachedTouch::Ended => Some(TouchOutcome::Ended),
            CachedTouch::Active(before) => Some(TouchOutcome::Active(before)),
            CachedTouch::Idle(last_activity) => Some(TouchOutcome::Idle(last_activity)),
            CachedTouch::Ask => None,
        }
    }

    pub(super) async fn touch(
        self: &Arc<Self>,
        session: StoreKey,
        touch: Touch,
    ) -> Result<TouchOutcome, StoreError> {
        self.sync_if_stale().await?;
        let lock = self.lock_of(&session).await;
        // Of concurrent requests of a session the first reads the database, and the others find its
        // answer in the cache.
        if let Some(outcome) = self.touch_cached(&session, touch) {
            return Ok(outcome);
        }
        let known = self.read(session, touch.now, lock).await?;
        if let Some(outcome) = self.touch_cached(&session, touch) {
            return Ok(outcome);
        }
        // The cache has no room, or was invalidated since.
        Ok(self.touch_known(session, touch, known))
    }

    /// Returns the answer to a touch of which the database knows this, and nothing is cached.
    fn touch_known(&self, session: StoreKey, touch: Touch, known: Known) -> TouchOutcome {
        let stored = match known {
            Known::Ended => return TouchOutcome::Ended,
            Known::Nothing if touch.known_only => return TouchOutcome::Unknown,
            Known::Nothing => None,
            Known::Active(at) => Some(self.node_cache.last_seen(&session, at)),
        };
        let last_activity = match stored {
            Some(at) => at.max(touch.token_activity),
            None => touch.unknown_activity,
        };
        if touch.now >= last_activity + touch.idle {
            return TouchOutcome::Idle(last_activity);
        }
        if self.node_cache.record(&session, touch) {
            TouchOutcome::Active(stored)
        } else {
            TouchOutcome::Ended
        }
    }

    pub(super) async fn get(
        self: &Arc<Self>,
        session: StoreKey,
    ) -> Result<StoredSession, StoreError> {
        self.sync_if_stale().await?;
        let lock = self.lock_of(&session).await;
        let now = self.clock.now();
        if let Some(stored) = self.node_cache.get(&session, now) {
            return Ok(stored);
        }
        let known = self.read(session, now, lock).await?;
        // The cache may know of a later activity, or of a tombstone that is committed since.
        Ok(self.node_cache.get(&session, now).unwrap_or(match known {
            Known::Nothing => StoredSession::Unknown,
            Known::Active(at) => StoredSession::Active(self.node_cache.last_seen(&session, at)),
            Known::Ended => StoredSession::Ended,
        }))
    }

    /// Writes the activities that are due at `now`.
    pub(super) async fn write_activities(&self, now: Timestamp) -> Result<(), StoreError> {
        let _lock = self.writing.lock().await;
        loop {
            let batch = self.node_cache.take_due(now, PIECE);
            if batch.rows.is_empty() {
                return Ok(());
            }
            self.write(&batch.rows).await?;
            batch.set_written();
        }
    }

    /// Writes activities of sessions that were active then. Sessions that the database does not
    /// know begin their rows; one with a tombstone keeps it.
    async fn write(&self, rows: &[Unwritten]) -> Result<(), StoreError> {
        let mut rows: Vec<_> = rows.iter().collect();
        // Nodes that write the same sessions lock their rows in the same order.
        rows.sort_unstable_by_key(|row| *row.session.as_bytes());
        let args = rows.iter().fold(Args::new(), |args, row| {
            let args = args.key(row.session).time(row.last_seen).span(row.idle);
            args.span(row.kept_for).int(row.presented.into())
        });
        let limit = self.activity_limit();
        let args = limit.add_to(args);
        let values = placeholders(rows.len(), COLUMN_COUNT);
        let last_seen = limit.apply("column2", &format!("${}", rows.len() * COLUMN_COUNT + 1));
        let sql = format!(
            "INSERT INTO tss_sessions (key, last_seen, idle, forget_at, presented)
            SELECT key, last_seen, idle, last_seen + kept_for, presented
            FROM (SELECT column1 AS key, {last_seen} AS last_seen, column3 AS idle,
                column4 AS kept_for, column5 AS presented FROM (VALUES {values}) AS v) AS seen
            WHERE 1 = 1
            ON CONFLICT (key) DO UPDATE SET
                last_seen = CASE WHEN tss_sessions.last_seen < excluded.last_seen
                    THEN excluded.last_seen ELSE tss_sessions.last_seen END,
                presented = CASE WHEN tss_sessions.presented < excluded.presented
                    THEN excluded.presented ELSE tss_sessions.presented END,
                idle = excluded.idle,
                forget_at = CASE WHEN tss_sessions.sid IS NULL
                    THEN excluded.forget_at ELSE tss_sessions.forget_at END
            WHERE tss_sessions.ended_until IS NULL
                AND (tss_sessions.last_seen < excluded.last_seen
                    OR tss_sessions.presented < excluded.presented)"
        );
        self.database.execute(sql, args).await?;
        Ok(())
    }

    /// Writes every activity that is not written yet.
    pub(super) async fn flush(&self) -> Result<(), StoreError> {
        self.sync_if_stale().await?;
        self.write_activities(Timestamp::MAX).await
    }
}
