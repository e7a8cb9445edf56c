//! The change feed: what one node publishes for the others, in the order of the commits.

use super::{
    Inner,
    database::{Database, Tx},
    failure::Failure,
    value::{Args, Row, placeholders},
};
use crate::{
    maybe_ready::StoreError,
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff, node::Change},
    time::Timestamp,
};

/// The most changes that one statement writes or reads.
const PIECE: usize = 500;
const PIECE_LIMIT: i64 = 500;

const COLUMNS: usize = 9;

/// The change feed, locked by a transaction; with the transaction's sequence number.
///
/// The lock is held until the transaction ends, so that changes are committed in the order of
/// their sequence numbers: a node never reads past a change that is committed later.
pub(super) struct ChangeFeed(i64);

impl ChangeFeed {
    /// Locks the feed. Every transaction that publishes does so before it writes any session, so
    /// that a transaction that waits for the lock holds no row that the lock's owner needs.
    pub(super) async fn lock(tx: &mut Tx) -> Result<Self, Failure> {
        let sql = "UPDATE tss_change_seq SET seq = seq + 1 WHERE one = 1 RETURNING seq";
        let row = tx.first(sql, Args::new()).await?;
        let row = row.ok_or_else(no_head)?;
        Ok(Self(row.int(0)?))
    }

    /// Locks the feed for a change of claims at `now`; returns its number, too.
    pub(super) async fn lock_with_claims_number(
        tx: &mut Tx,
        now: Timestamp,
    ) -> Result<(Self, Timestamp), Failure> {
        let sql = "UPDATE tss_change_seq SET seq = seq + 1,
            claims_number = CASE WHEN claims_number < $1 THEN $1 ELSE claims_number + 1 END
            WHERE one = 1 RETURNING seq, claims_number";
        let row = tx.first(sql, Args::new().time(now)).await?;
        let row = row.ok_or_else(no_head)?;
        Ok((Self(row.int(0)?), row.time(1)?))
    }

    /// Publishes changes in this order. Once per transaction.
    pub(super) async fn publish(self, tx: &mut Tx, changes: &[Change]) -> Result<(), Failure> {
        let mut item = 0;
        for piece in changes.chunks(PIECE) {
            let mut args = Args::new();
            for change in piece {
                item += 1;
                args = write(*change, args.int(self.0).int(item).time(tx.begun));
            }
            let rows = placeholders(piece.len(), COLUMNS);
            let sql = format!(
                "INSERT INTO tss_changes
                    (seq, item, recorded_at, kind, key, at, until, idle, absolute)
                VALUES {rows}"
            );
            tx.execute(sql, args).await?;
        }
        Ok(())
    }
}

fn write(change: Change, args: Args) -> Args {
    match change {
        Change::Revoked { session, until } => {
            args.int(0).key(session).maybe_time(None).time(until).int(0).int(0)
        }
        Change::Exempt { session, at, until } => {
            args.int(1).key(session).time(at).time(until).int(0).int(0)
        }
        Change::Cutoff { scope, cutoff: RevocationCutoff { at, until } } => {
            args.int(2).key(scope).time(at).time(until).int(0).int(0)
        }
        Change::TimeoutOverrides { account, overrides } => (args.int(3).key(account))
            .maybe_time(None)
            .maybe_time(None)
            .maybe_span(overrides.idle)
            .maybe_span(overrides.absolute),
        // The columns of two durations have two instants.
        Change::Folded { user, folded: FoldedTombstones { first, last, at, until } } => {
            args.int(4).key(user).time(at).time(until).time(first).time(last)
        }
        Change::TombstoneFolded { session } => {
            args.int(5).key(session).maybe_time(None).maybe_time(None).int(0).int(0)
        }
        Change::Claims { scope, number, until } => {
            args.int(6).key(scope).time(number).time(until).int(0).int(0)
        }
    }
}

/// Returns `None` for a kind that a later version of this crate has written.
fn read(row: &Row) -> Result<Option<Change>, Failure> {
    let key = row.key(5)?;
    Ok(Some(match row.int(4)? {
        0 => Change::Revoked { session: key, until: row.time(7)? },
        1 => Change::Exempt { session: key, at: row.time(6)?, until: row.time(7)? },
        2 => {
            let cutoff = RevocationCutoff { at: row.time(6)?, until: row.time(7)? };
            Change::Cutoff { scope: key, cutoff }
        }
        3 => {
            let overrides =
                TimeoutOverrides { idle: row.maybe_span(8)?, absolute: row.maybe_span(9)? };
            Change::TimeoutOverrides { account: key, overrides }
        }
        4 => {
            let (first, last) = (row.time(8)?, row.time(9)?);
            let folded = FoldedTombstones::new(first, last, row.time(6)?, row.time(7)?);
            Change::Folded { user: key, folded }
        }
        5 => Change::TombstoneFolded { session: key },
        6 => Change::Claims { scope: key, number: row.time(6)?, until: row.time(7)? },
        _ => return Ok(None),
    }))
}

/// The position of the last change that was read.
#[derive(Clone, Copy)]
pub(super) struct ChangePosition {
    seq: i64,
    item: i64,
}

/// What a reading of the feed returned.
struct Reading {
    changes: Vec<Change>,
    /// Whether there may be more.
    has_more: bool,
    /// The time of the database, if it has a clock and the node's can be compared with it.
    store_now: Option<Timestamp>,
}

/// Reads the changes after `position` and moves it behind them. `None` if changes after `position` were removed already, or the feed is another
/// one: then everything must be read again.
async fn read_after(
    database: &Database,
    position: &mut ChangePosition,
    store_now: &str,
) -> Result<Option<Reading>, Failure> {
    let sql = format!(
        "SELECT h.seq, h.trimmed_to, n.seq, n.item, n.kind, n.key, n.at, n.until, n.idle, n.absolute,
            {store_now}
        FROM tss_change_seq AS h
        LEFT JOIN tss_changes AS n ON (n.seq, n.item) > ($1, $2)
        WHERE h.one = 1 ORDER BY n.seq, n.item LIMIT $3"
    );
    let args = Args::new().int(position.seq).int(position.item).int(PIECE_LIMIT);
    let rows = database.fetch(sql, args).await?;
    let mut changes = Vec::new();
    let mut last = *position;
    for row in &rows {
        // A sequence number that went back is the one of another database.
        if row.int(1)? > position.seq || row.int(0)? < position.seq {
            return Ok(None);
        }
        let Some(seq) = row.maybe_int(2)? else { continue };
        last = ChangePosition { seq, item: row.int(3)? };
        changes.extend(read(row)?);
    }
    *position = last;
    let store_now = rows.first().map_or(Ok(None), |row| row.maybe_time(10))?;
    Ok(Some(Reading { changes, has_more: rows.len() >= PIECE, store_now }))
}

/// Reads everything that is kept at `now`, or at the time of the database, as changes, and the
/// position to go on from.
async fn read_all(
    database: &Database,
    now: Timestamp,
    store_now: &str,
) -> Result<(Reading, ChangePosition), Failure> {
    // The position first: a change that is committed meanwhile is applied twice, and none is
    // missed.
    let sql = format!("SELECT seq, {store_now} FROM tss_change_seq WHERE one = 1");
    let head = database.fetch(sql, Args::new()).await?;
    let head = head.first().ok_or_else(no_head)?;
    let position = ChangePosition { seq: head.int(0)?, item: i64::MAX };
    let store_now = head.maybe_time(1)?;
    let now = store_now.unwrap_or(now);
    let mut cutoffs = Vec::new();
    let mut latest = now;
    let sql = "SELECT scope, at, until FROM tss_revocations WHERE until > $1";
    for row in database.fetch(sql, Args::new().time(now)).await? {
        let cutoff = RevocationCutoff { at: row.time(1)?, until: row.time(2)? };
        latest = latest.max(cutoff.until);
        cutoffs.push(Change::Cutoff { scope: row.key(0)?, cutoff });
    }
    let sql = "SELECT user_key, first_epoch, last_epoch, at, until FROM tss_folded_tombstones
        WHERE until > $1";
    for row in database.fetch(sql, Args::new().time(now)).await? {
        let until = row.time(4)?;
        let folded = FoldedTombstones::new(row.time(1)?, row.time(2)?, row.time(3)?, until);
        latest = latest.max(until);
        cutoffs.push(Change::Folded { user: row.key(0)?, folded });
    }
    // Read after the cutoffs, so that no cutoff is read without its exempt sessions; applied
    // before them.
    let mut changes = Vec::new();
    let sql = "SELECT key, exempt_until FROM tss_sessions
        WHERE exempt_until > 0 AND ended_until IS NULL AND forget_at > $1";
    for row in database.fetch(sql, Args::new().time(now)).await? {
        changes.push(Change::Exempt { session: row.key(0)?, at: row.time(1)?, until: latest });
    }
    changes.append(&mut cutoffs);
    let sql = "SELECT scope, number, until FROM tss_claims_changes WHERE until > $1";
    for row in database.fetch(sql, Args::new().time(now)).await? {
        let (number, until) = (row.time(1)?, row.time(2)?);
        changes.push(Change::Claims { scope: row.key(0)?, number, until });
    }
    let sql = "SELECT account, idle, absolute FROM tss_account_policies";
    for row in database.fetch(sql, Args::new()).await? {
        let overrides = TimeoutOverrides { idle: row.maybe_span(1)?, absolute: row.maybe_span(2)? };
        changes.push(Change::TimeoutOverrides { account: row.key(0)?, overrides });
    }
    Ok((Reading { changes, has_more: false, store_now }, position))
}

fn no_head() -> StoreError {
    StoreError::new("the table tss_change_seq has no row")
}

impl Inner {
    /// Reads and applies the changes since `position`: one statement, unless there are many.
    pub(super) async fn sync_from(
        &self,
        position: &mut Option<ChangePosition>,
    ) -> Result<(), StoreError> {
        let asked_at = self.clock.now();
        let store_now = self.database.now().filter(|_| self.clock.is_time_of_day());
        let store_now = store_now.unwrap_or("NULL");
        while let Some(last) = position {
            let Some(reading) = read_after(&self.database, last, store_now).await? else {
                *position = None;
                break;
            };
            self.apply(&reading.changes);
            if !reading.has_more {
                return self.finish_sync(asked_at, reading.store_now);
            }
        }
        let (reading, last) = read_all(&self.database, asked_at, store_now).await?;
        self.apply_all(&reading.changes);
        *position = Some(last);
        self.finish_sync(asked_at, reading.store_now)
    }
}
