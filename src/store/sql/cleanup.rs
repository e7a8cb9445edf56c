//! Forgetting what is over, by small steps.

use std::time::Duration;

use super::{Inner, Transaction, database::Tx, failure::Failure, logs, value::Args};
use crate::{maybe_ready::StoreError, time::Timestamp};

/// How long what is over is kept: a node's clock may be behind by the greatest skew.
pub(super) const GRACE: Duration = Duration::from_secs(120);

/// How long a node may have heard nothing and still catch up without reading everything.
const CHANGES_KEPT_FOR: Duration = Duration::from_secs(3600);

/// The most rows of one statement, as they are named in them.
const STEP: u64 = 500;

/// Each asks twice whether a row is over: it may have been changed since it was chosen.
const STATEMENTS: [&str; 3] = [
    "DELETE FROM tss_sessions WHERE forget_at < $1 AND key IN
        (SELECT key FROM tss_sessions WHERE forget_at < $1 ORDER BY forget_at LIMIT 500)",
    "DELETE FROM tss_used_tokens WHERE until < $1 AND token IN
        (SELECT token FROM tss_used_tokens WHERE until < $1 ORDER BY until LIMIT 500)",
    "DELETE FROM tss_revocations WHERE until < $1 AND scope IN
        (SELECT scope FROM tss_revocations WHERE until < $1 ORDER BY until LIMIT 500)",
];

impl Inner {
    /// One step; whether there may be more to forget.
    pub(super) async fn clean(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut is_more = false;
        for statement in STATEMENTS {
            let args = Args::new().time(now - GRACE);
            is_more |= self.database.execute(statement, args).await? >= STEP;
        }
        is_more |= self.commit(&TrimChanges(now - CHANGES_KEPT_FOR)).await? >= STEP;
        is_more |= logs::remove_surplus(&self.database).await?;
        Ok(is_more)
    }
}

/// Forgets news noted before an instant.
struct TrimChanges(Timestamp);

impl Transaction for TrimChanges {
    type Answer = u64;

    async fn run(&self, tx: &mut Tx) -> Result<u64, Failure> {
        let sql = "UPDATE tss_change_seq SET trimmed_to = COALESCE((SELECT MAX(old.seq) FROM
            (SELECT seq FROM tss_changes WHERE recorded_at < $1 ORDER BY recorded_at LIMIT 500) AS old),
            trimmed_to) WHERE one = 1";
        tx.execute(sql, Args::new().time(self.0)).await?;
        let sql = "DELETE FROM tss_changes WHERE seq <=
            (SELECT trimmed_to FROM tss_change_seq WHERE one = 1)";
        tx.execute(sql, Args::new()).await
    }
}
