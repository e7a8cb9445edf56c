//! Sessions that end: one, or all of a scope.

use super::{
    Transaction,
    change_feed::{Change, ChangeFeed},
    database::{Lock, Tx},
    failure::Failure,
    logs,
    sessions::{column, live},
    value::Args,
};
use crate::{
    audit::AuditRecord,
    identity::StoreKey,
    maybe_ready::StoreError,
    store::{BulkRevocation, Exempt},
    time::Timestamp,
};

/// How many exempt sessions are named by one statement.
const PIECE: usize = 500;

/// A session that ends.
pub(super) struct End {
    pub(super) session: StoreKey,
    pub(super) until: Timestamp,
    /// Logged if the session was live when this happened.
    pub(super) log: Option<AuditRecord>,
}

impl Transaction for End {
    type Answer = bool;

    async fn run(&self, tx: &mut Tx) -> Result<bool, Failure> {
        let turn = ChangeFeed::take(tx).await?;
        let was_live = match &self.log {
            Some(log) => is_live(tx, self.session, log.at).await?,
            None => false,
        };
        if end(tx, self.session, self.until).await? {
            let changes = Change::Ended { session: self.session, until: self.until };
            turn.publish(tx, &[changes]).await?;
        }
        if was_live {
            logs::write(tx, self.log.as_slice()).await?;
        }
        Ok(was_live)
    }
}

async fn is_live(tx: &mut Tx, session: StoreKey, now: Timestamp) -> Result<bool, Failure> {
    let live = live("$2");
    let sql = format!("SELECT s.key FROM tss_sessions AS s WHERE s.key = $1 AND {live}");
    Ok(tx.first(sql, Args::new().key(session).time(now)).await?.is_some())
}

/// Writes a tombstone; whether none stood for as long.
async fn end(tx: &mut Tx, session: StoreKey, until: Timestamp) -> Result<bool, Failure> {
    let sql = "INSERT INTO tss_sessions (key, ended_until, forget_at) VALUES ($1, $2, $2)
        ON CONFLICT (key) DO UPDATE SET ended_until = excluded.ended_until,
            forget_at = excluded.forget_at
        WHERE tss_sessions.ended_until IS NULL OR tss_sessions.ended_until < excluded.ended_until";
    Ok(tx.execute(sql, Args::new().key(session).time(until)).await? > 0)
}

/// What a bulk revocation has done.
pub(super) struct BulkRevoked {
    pub(super) count: u64,
    pub(super) changes: Vec<Change>,
}

impl Transaction for BulkRevocation {
    type Answer = BulkRevoked;

    async fn run(&self, tx: &mut Tx) -> Result<BulkRevoked, Failure> {
        tx.lock(Lock::Alone).await?;
        let turn = ChangeFeed::take(tx).await?;
        let (live, latest) = self.count(tx).await?;
        // A session that began after an earlier mark, or was exempt from it, may be beyond this one.
        let mark = latest.map_or(self.mark, |latest| self.mark.max(latest));
        let (exempt_until, mut changes) = self.spare(tx, mark).await?;
        let sql = "INSERT INTO tss_revocations (scope, at, until) VALUES ($1, $2, $3)
            ON CONFLICT (scope) DO UPDATE SET
                at = CASE WHEN tss_revocations.at < excluded.at
                    THEN excluded.at ELSE tss_revocations.at END,
                until = CASE WHEN tss_revocations.until < excluded.until
                    THEN excluded.until ELSE tss_revocations.until END";
        let scope = self.scope.key();
        tx.execute(sql, Args::new().key(scope).time(mark).time(self.until)).await?;
        changes.push(Change::Mark { scope, at: mark, until: self.until });
        turn.publish(tx, &changes).await?;
        let count = live.saturating_sub(exempt_until);
        if count > 0 {
            let log = self.log.clone().with_count("revoked_count", count);
            logs::write(tx, &[log]).await?;
        }
        Ok(BulkRevoked { count, changes })
    }
}

impl BulkRevocation {
    /// How many sessions of the scope are live, and the earliest mark that ends each of them.
    async fn count(&self, tx: &mut Tx) -> Result<(u64, Option<Timestamp>), Failure> {
        let (column, live) = (column(self.scope), live("$2"));
        let sql = format!(
            "SELECT COUNT(*), MAX(CASE WHEN s.exempt_until >= s.epoch THEN s.exempt_until + 1 ELSE s.epoch END)
            FROM tss_sessions AS s
            WHERE s.{column} = $1 AND {live}"
        );
        let row = tx.first(sql, Args::new().key(self.scope.key()).time(self.now)).await?;
        let row = row.ok_or_else(|| StoreError::new("the database counted nothing"))?;
        Ok((row.count(0)?, row.maybe_time(1)?))
    }

    /// Spares the excepted ones of those alive; how many of them were counted.
    async fn spare(&self, tx: &mut Tx, mark: Timestamp) -> Result<(u64, Vec<Change>), Failure> {
        let mut exempt_until = Spared { count: 0, changes: Vec::new() };
        match &self.exempt {
            Exempt::None => {}
            Exempt::User(user) => {
                let user = [*user];
                exempt_until.add(tx, self, mark, "s.user_key", &user).await?;
            }
            Exempt::Sessions(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable_by_key(|key| *key.as_bytes());
                keys.dedup();
                for piece in keys.chunks(PIECE) {
                    exempt_until.add(tx, self, mark, "s.key", piece).await?;
                }
            }
        }
        Ok((exempt_until.count, exempt_until.changes))
    }
}

struct Spared {
    count: u64,
    changes: Vec<Change>,
}

impl Spared {
    /// A session named by its key that is known by its activity alone is exempt too: the store
    /// cannot tell whether it is in the scope, but its token can.
    async fn add(
        &mut self,
        tx: &mut Tx,
        revocation: &BulkRevocation,
        mark: Timestamp,
        by: &str,
        keys: &[StoreKey],
    ) -> Result<(), Failure> {
        let (column, live) = (column(revocation.scope), live("$3"));
        let places: Vec<_> = (4..keys.len() + 4).map(|at| format!("${at}")).collect();
        let places = places.join(",");
        let sql = format!(
            "UPDATE tss_sessions AS s
            SET exempt_until = CASE WHEN s.exempt_until < $2 THEN $2 ELSE s.exempt_until END
            WHERE {by} IN ({places}) AND s.ended_until IS NULL AND $3 < s.last_seen + s.idle
                AND (s.sid IS NULL OR (s.{column} = $1 AND {live}))
            RETURNING key, sid"
        );
        let args = Args::new().key(revocation.scope.key()).time(mark).time(revocation.now);
        let args = keys.iter().fold(args, |args, key| args.key(*key));
        for row in tx.fetch(sql, args).await? {
            self.count += u64::from(row.maybe_text(1)?.is_some());
            let (session, until) = (row.key(0)?, revocation.until);
            self.changes.push(Change::Spared { session, at: mark, until });
        }
        Ok(())
    }
}
