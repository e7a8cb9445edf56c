//! Folding: the many tombstones of a user become one, `tss_folded_tombstones`.

use std::time::Duration;

use super::{
    Transaction,
    change_feed::ChangeFeed,
    database::Tx,
    failure::Failure,
    locks::Lock,
    value::{Args, malformed},
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
    /// The last epoch of a session whose record may be lost: it cannot be exempt, so nothing is folded as far
    /// back.
    pub(super) lost: Timestamp,
}

impl Transaction for Fold {
    type Answer = Vec<Change>;

    async fn run(&self, tx: &mut Tx) -> Result<Vec<Change>, Failure> {
        // Every session of the user that has begun is committed, or begins after this one.
        tx.lock(Lock::Alone).await?;
        if !self.is_due(tx).await? {
            return Ok(Vec::new());
        }
        let feed = ChangeFeed::open(tx).await?;
        let Some((folded, sessions)) = self.take_tombstones(tx).await? else {
            return Ok(Vec::new());
        };
        let mut changes = self.exempt_sessions(tx, folded).await?;
        let sql = "INSERT INTO tss_folded_tombstones (user_key, first_epoch, last_epoch, at, until)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (user_key) DO UPDATE SET first_epoch = excluded.first_epoch,
                last_epoch = excluded.last_epoch, at = excluded.at, until = excluded.until";
        let FoldedTombstones { first, last, at, until } = folded;
        let args = Args::new().key(self.user).time(first).time(last).time(at).time(until);
        tx.execute(sql, args).await?;
        changes.push(Change::Folded { user: self.user, folded });
        let sessions = sessions.into_iter();
        changes.extend(sessions.map(|session| Change::TombstoneFolded { session }));
        feed.publish(tx, &changes).await?;
        Ok(changes)
    }
}

impl Fold {
    /// Whether there are too many: another node may have folded them just now.
    async fn is_due(&self, tx: &mut Tx) -> Result<bool, Failure> {
        let sql = "SELECT COUNT(*) FROM tss_sessions
            WHERE user_key = $1 AND is_begun = 1 AND ended_until IS NOT NULL AND epoch > $2";
        let row = tx.first(sql, Args::new().key(self.user).time(self.lost)).await?;
        let count = row.ok_or_else(malformed)?.count(0)?;
        Ok(count > MAX_PER_USER as u64)
    }

    /// Removes the tombstones from those of the user; their rows are kept for a while. Returns the
    /// tombstone of all, and their sessions: a tombstone that is committed from now on is not one of them.
    async fn take_tombstones(
        &self,
        tx: &mut Tx,
    ) -> Result<Option<(FoldedTombstones, Vec<StoreKey>)>, Failure> {
        let sql = "SELECT f.first_epoch, f.last_epoch, f.at, f.until,
                (SELECT MAX(exempt_until) + 1 FROM tss_sessions WHERE exempt_until > 0)
            FROM (SELECT 1 AS one) AS one
            LEFT JOIN tss_folded_tombstones AS f ON f.user_key = $1";
        let row = tx.first(sql, Args::new().key(self.user)).await?;
        let row = row.ok_or_else(malformed)?;
        // Later than any exemption of a session that has ended.
        let at = self.now.max(row.maybe_time(4)?.unwrap_or_default());
        let before = match row.maybe_time(0)? {
            Some(first) => {
                Some(FoldedTombstones::new(first, row.time(1)?, row.time(2)?, row.time(3)?))
            }
            None => None,
        };
        if before.is_some_and(|before| before.first <= self.lost) {
            return Ok(None);
        }
        let sql = "UPDATE tss_sessions SET user_key = NULL,
                forget_at = CASE WHEN forget_at < $2 THEN forget_at ELSE $2 END
            WHERE user_key = $1 AND is_begun = 1 AND ended_until IS NOT NULL AND epoch > $3
            RETURNING key, epoch, ended_until";
        let args = Args::new().key(self.user).time(self.now + self.rows_kept_for).time(self.lost);
        let (mut folded, mut sessions) = (before, Vec::new());
        for row in tx.fetch(sql, args).await? {
            let epoch = row.time(1)?;
            let tombstone = FoldedTombstones::new(epoch, epoch, at, row.time(2)?);
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
