//! Cleanup: removes expired rows in small steps.

use std::time::Duration;

use super::{
    Inner, Transaction, database::Tx, failure::Failure, feed_order::FeedOrder, logs,
    pools::Purpose, value::Args,
};
use crate::{maybe_ready::StoreError, store::node::GRACE, time::Timestamp};

/// A node whose last reading is older than this reads everything again.
const CHANGES_KEPT_FOR: Duration = Duration::from_secs(3600);

/// The most rows that one statement removes, as in the statements.
const STEP: u64 = 500;

/// Each checks twice whether a row has expired: it may change after it was selected.
const STATEMENTS: [&str; 5] = [
    "DELETE FROM tss_sessions WHERE forget_at < $1 AND key IN
        (SELECT key FROM tss_sessions WHERE forget_at < $1 ORDER BY forget_at LIMIT 500)",
    "DELETE FROM tss_revocations WHERE until < $1 AND scope IN
        (SELECT scope FROM tss_revocations WHERE until < $1 ORDER BY until LIMIT 500)",
    "DELETE FROM tss_folded_tombstones WHERE until < $1 AND user_key IN
        (SELECT user_key FROM tss_folded_tombstones WHERE until < $1 ORDER BY until LIMIT 500)",
    "DELETE FROM tss_claims_changes WHERE until < $1 AND scope IN
        (SELECT scope FROM tss_claims_changes WHERE until < $1 ORDER BY until LIMIT 500)",
    "DELETE FROM tss_tickets WHERE until < $1 AND id IN
        (SELECT id FROM tss_tickets WHERE until < $1 ORDER BY until LIMIT 500)",
];

impl Inner {
    /// Removes some rows. Returns whether there may be more.
    pub(super) async fn remove_expired(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut has_more = false;
        for statement in STATEMENTS {
            let args = Args::new().time(now - GRACE);
            has_more |=
                self.database.execute_for(Purpose::Lifecycle, statement, args).await? >= STEP;
        }
        has_more |= self.commit_alone(&TrimChanges(now - CHANGES_KEPT_FOR)).await? >= STEP;
        has_more |= logs::remove_surplus(&self.database).await?;
        Ok(has_more)
    }
}

/// Removes changes that were recorded before an instant.
struct TrimChanges(Timestamp);

impl Transaction for TrimChanges {
    type Answer = u64;

    async fn run(&self, tx: &mut Tx) -> Result<u64, Failure> {
        // A node may not have read the changes of a transaction that began before one in progress.
        let is_read = match tx.feed_order() {
            FeedOrder::Commits => "",
            FeedOrder::Transactions => {
                "AND seq < CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)"
            }
        };
        let sql = format!(
            "UPDATE tss_change_seq SET trimmed_to = COALESCE((SELECT MAX(old.seq) FROM
                (SELECT seq FROM tss_changes WHERE recorded_at < $1 {is_read}
                ORDER BY recorded_at LIMIT 500) AS old), trimmed_to) WHERE one = 1"
        );
        tx.execute(sql, Args::new().time(self.0)).await?;
        let sql = "DELETE FROM tss_changes WHERE seq <=
            (SELECT trimmed_to FROM tss_change_seq WHERE one = 1)";
        tx.execute(sql, Args::new()).await
    }
}
