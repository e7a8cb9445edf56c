//! The activities that a node writes: many in one statement.

use super::{
    Inner,
    value::{Args, placeholders},
};
use crate::{maybe_ready::StoreError, store::node_cache::Unwritten};

const COLUMN_COUNT: usize = 5;

impl Inner {
    /// Writes activities of sessions that were active then. Sessions that the database does not
    /// know begin their rows; one with a tombstone keeps it.
    pub(super) async fn write_activities(&self, rows: &[Unwritten]) -> Result<(), StoreError> {
        let mut rows: Vec<_> = rows.iter().collect();
        // Nodes that write the same sessions lock their rows in the same order.
        rows.sort_unstable_by_key(|row| *row.keys.session.as_bytes());
        let args = rows.iter().fold(Args::new(), |args, row| {
            let args = args.key(row.keys.session).time(row.last_seen).span(row.idle);
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
}
