//! Folding: the many tombstones of a user become one, `tss_folded_tombstones`.

use std::time::Duration;

use super::{
    Transaction,
    change_feed::ChangeFeed,
    database::{Lock, Tx},
    failure::Failure,
    value::Args,
};
use crate::{
    identity::StoreKey,
    store::{FoldedTombstones, node::Change, tombstone::MAX_PER_USER},
    time::Timestamp,
};

/// Folds the tombstones of a user, of sessions that began here, if there are more than 64. Exempts the
/// user's other sessions that have a record.
pub(super) struct Fold {
    pub(super) user: StoreKey,
    pub(super) now: Timestamp,
    /// How long the rows are kept: another node may not have read of it yet.
    pub(super) rows_kept_for: Duration,
}

impl Transaction for Fold {
    type Answer = Vec<Change>;

    async fn run(&self, tx: &mut Tx) -> Result<Vec<Change>, Failure> {
        // Every session of the user that has begun is committed, or begins after this one.
        tx.lock(Lock::Alone).await?;
        let feed = ChangeFeed::lock(tx).await?;
        let Some((folded, sessions)) = self.read(tx).await? else { return Ok(Vec::new()) };
        let mut changes = self.exempt_sessions(tx, folded).await?;
        let sql = "INSERT INTO tss_folded_tombstones (user_key, first_epoch, last_epoch, at, until)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (user_key) DO UPDATE SET first_epoch = excluded.first_epoch,
                last_epoch = excluded.last_epoch, at = excluded.at, until = excluded.until";
        let FoldedTombstones { first, last, at, until } = folded;
        let args = Args::new().key(self.user).time(first).time(last).time(at).time(until);
        tx.execute(sql, args).await?;
        let sql = "UPDATE tss_sessions SET user_key = NULL,
                forget_at = CASE WHEN forget_at < $2 THEN forget_at ELSE $2 END
            WHERE user_key = $1 AND is_begun = 1 AND ended_until IS NOT NULL";
        let args = Args::new().key(self.user).time(self.now + self.rows_kept_for);
        tx.execute(sql, args).await?;
        changes.push(Change::Folded { user: self.user, folded });
        let sessions = sessions.into_iter();
        changes.extend(sessions.map(|session| Change::TombstoneFolded { session }));
        feed.publish(tx, &changes).await?;
        Ok(changes)
    }
}

impl Fold {
    /// Returns the tombstone of all, and their sessions; `None` if they are few: another node may have
    /// folded them just now.
    async fn read(
        &self,
        tx: &mut Tx,
    ) -> Result<Option<(FoldedTombstones, Vec<StoreKey>)>, Failure> {
        let sql =
            "SELECT s.key, s.epoch, s.ended_until, f.first_epoch, f.last_epoch, f.at, f.until,
                (SELECT MAX(exempt_until) + 1 FROM tss_sessions WHERE exempt_until > 0)
            FROM tss_sessions AS s
            LEFT JOIN tss_folded_tombstones AS f ON f.user_key = $1
            WHERE s.user_key = $1 AND s.is_begun = 1 AND s.ended_until IS NOT NULL";
        let rows = tx.fetch(sql, Args::new().key(self.user)).await?;
        if rows.len() <= MAX_PER_USER {
            return Ok(None);
        }
        let (mut folded, mut sessions) = (None::<FoldedTombstones>, Vec::new());
        for row in rows {
            // Later than any exemption of a session that has ended.
            let at = self.now.max(row.maybe_time(7)?.unwrap_or_default());
            let mut tombstone = FoldedTombstones::new(row.time(1)?, row.time(1)?, at, row.time(2)?);
            if let Some(first) = row.maybe_time(3)? {
                let before = FoldedTombstones::new(first, row.time(4)?, row.time(5)?, row.time(6)?);
                tombstone = tombstone.merge(before);
            }
            folded = Some(folded.map_or(tombstone, |folded| folded.merge(tombstone)));
            sessions.push(row.key(0)?);
        }
        Ok(folded.map(|folded| (folded, sessions)))
    }

    /// Exempts the sessions of the user that have a record and are not revoked.
    async fn exempt_sessions(
        &self,
        tx: &mut Tx,
        folded: FoldedTombstones,
    ) -> Result<Vec<Change>, Failure> {
        let sql = "UPDATE tss_sessions AS s SET exempt_until = $4
            WHERE s.user_key = $1 AND s.ended_until IS NULL AND s.sid IS NOT NULL
                AND s.epoch BETWEEN $2 AND $3
                AND NOT EXISTS (SELECT 1 FROM tss_revocations AS m
                    WHERE m.scope IN (s.user_key, s.subject_key, s.account_key, s.everything_key)
                    AND m.at >= s.epoch AND m.at > s.exempt_until)
            RETURNING key";
        let FoldedTombstones { first, last, at, until } = folded;
        let args = Args::new().key(self.user).time(first).time(last).time(at);
        let rows = tx.fetch(sql, args).await?;
        let exempt = |session| Change::Exempt { session, at, until };
        rows.iter().map(|row| Ok(exempt(row.key(0)?))).collect()
    }
}
