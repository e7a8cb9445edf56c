//! How a node reads the change feed: what is new since its position, or everything.

use super::{
    change::{self, COLUMNS},
    change_feed::no_head,
    database::Database,
    failure::Failure,
    feed_order::FeedOrder,
    value::{Args, Row, malformed},
};
use crate::{
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff, node::Change},
    time::Timestamp,
};

/// The most changes that one statement reads.
const PIECE: usize = 500;
const PIECE_LIMIT: i64 = 500;

/// What a node has read.
pub(super) enum ChangePosition {
    /// Every change up to this one.
    Commits { seq: i64, item: i64 },
    /// Every change of the transactions that are committed in this snapshot.
    Transactions(Snapshot),
}

/// Which transactions of Postgres have ended: all before `horizon`, and of those from there to `end` the
/// ones that are not in progress. Those that were rolled back left no change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    horizon: i64,
    end: i64,
    /// As Postgres writes them: `12,15`.
    in_progress: String,
}

impl Snapshot {
    /// Reads the text of a `pg_snapshot`, such as `10:20:12,15`.
    fn from_text(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse().ok();
        let (horizon, end) = (number().ok_or_else(malformed)?, number().ok_or_else(malformed)?);
        let in_progress = parts.next().ok_or_else(malformed)?.to_owned();
        Ok(Self { horizon, end, in_progress })
    }
}

/// Where the feed ends, as the first columns of a row.
struct Head {
    store_now: Option<Timestamp>,
    /// Changes up to this one are removed.
    trimmed_to: i64,
    seq: i64,
    snapshot: Option<Snapshot>,
}

impl Head {
    const COLUMN_COUNT: usize = 4;

    /// The columns, of `tss_change_seq AS h`.
    fn columns(order: FeedOrder, store_now: &str) -> String {
        let snapshot = match order {
            FeedOrder::Commits => "NULL",
            FeedOrder::Transactions => "CAST(pg_current_snapshot() AS TEXT)",
        };
        format!("{store_now}, h.trimmed_to, h.seq, {snapshot}")
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        let snapshot = row.maybe_text(3)?;
        Ok(Self {
            store_now: row.maybe_time(0)?,
            trimmed_to: row.int(1)?,
            seq: row.int(2)?,
            snapshot: snapshot.as_deref().map(Snapshot::from_text).transpose()?,
        })
    }

    /// Whether every change after `position` is still there, and the feed is the one it is a position of.
    fn follows(&self, position: &ChangePosition) -> bool {
        match (position, &self.snapshot) {
            (ChangePosition::Commits { seq, .. }, None) => {
                self.trimmed_to <= *seq && *seq <= self.seq
            }
            (ChangePosition::Transactions(last), Some(snapshot)) => {
                self.trimmed_to < last.horizon && last.end <= snapshot.end
            }
            _ => false,
        }
    }

    /// The position behind everything that this head's statement has seen, after `last`.
    fn position(self, (seq, item): (i64, i64)) -> ChangePosition {
        match self.snapshot {
            Some(snapshot) => ChangePosition::Transactions(snapshot),
            None => ChangePosition::Commits { seq, item },
        }
    }
}

/// A successful reading: the time of the database, if it has a clock and the node's can be compared
/// with it.
pub(super) struct Reading {
    pub(super) store_now: Option<Timestamp>,
}

/// Reads the changes after `position`, calls `apply` with each piece of them, and moves the position
/// behind them. `None` if changes after it were removed already, or the feed is another one: then
/// everything must be read again.
pub(super) async fn read_after(
    database: &Database,
    position: &mut ChangePosition,
    store_now: &str,
    mut apply: impl FnMut(&[Change]),
) -> Result<Option<Reading>, Failure> {
    let mut last = match position {
        ChangePosition::Commits { seq, item } => (*seq, *item),
        ChangePosition::Transactions(_) => (0, 0),
    };
    let sql = piece_statement(database.feed_order(), store_now);
    let mut head = None;
    let mut has_more = true;
    while has_more {
        let rows = database.fetch(sql.clone(), piece_args(position, last)).await?;
        let here = Head::read(rows.first().ok_or_else(no_head)?)?;
        if !here.follows(position) {
            return Ok(None);
        }
        // The position is that of the first piece: what is committed between two pieces is applied, and
        // read again the next time.
        head.get_or_insert(here);
        let mut changes = Vec::new();
        for row in &rows {
            // Without any change there is a row with the head alone.
            let Some(seq) = row.maybe_int(Head::COLUMN_COUNT)? else { continue };
            let first = Head::COLUMN_COUNT + 1;
            last = (seq, row.int(first)?);
            changes.extend(change::read(row, first)?);
        }
        apply(&changes);
        has_more = rows.len() >= PIECE;
    }
    let head = head.ok_or_else(no_head)?;
    let reading = Reading { store_now: head.store_now };
    *position = head.position(last);
    Ok(Some(reading))
}

fn piece_statement(order: FeedOrder, store_now: &str) -> String {
    let head = Head::columns(order, store_now);
    let (lateral, changes) = match order {
        FeedOrder::Commits => ("", "SELECT * FROM tss_changes WHERE (seq, item) > ($1, $2)"),
        FeedOrder::Transactions => (
            "LATERAL",
            "SELECT * FROM (SELECT * FROM tss_changes WHERE seq >= $4
                UNION ALL SELECT * FROM tss_changes
                    WHERE seq = ANY(CAST(string_to_array($5, ',') AS BIGINT[]))) AS new
            WHERE (seq, item) > ($1, $2)",
        ),
    };
    format!(
        "SELECT {head}, n.seq, {COLUMNS} FROM tss_change_seq AS h
        LEFT JOIN {lateral} ({changes} ORDER BY seq, item LIMIT $3) AS n ON 1 = 1
        WHERE h.one = 1 ORDER BY n.seq, n.item"
    )
}

/// The arguments for the changes after `position` and after `last`.
fn piece_args(position: &ChangePosition, (seq, item): (i64, i64)) -> Args {
    let args = Args::new().int(seq).int(item).int(PIECE_LIMIT);
    match position {
        ChangePosition::Commits { .. } => args,
        ChangePosition::Transactions(read) => args.int(read.end).text(&read.in_progress),
    }
}

/// Reads everything that is kept at `now`, or at the time of the database, as changes, and the
/// position to go on from.
pub(super) async fn read_all(
    database: &Database,
    now: Timestamp,
    store_now: &str,
) -> Result<(Vec<Change>, Reading, ChangePosition), Failure> {
    // The position first: a change that is committed meanwhile is applied twice, and none is
    // missed.
    let head = Head::columns(database.feed_order(), store_now);
    let sql = format!("SELECT {head} FROM tss_change_seq AS h WHERE one = 1");
    let rows = database.fetch(sql, Args::new()).await?;
    let head = Head::read(rows.first().ok_or_else(no_head)?)?;
    let reading = Reading { store_now: head.store_now };
    let last = (head.seq, i64::MAX);
    let position = head.position(last);
    let now = reading.store_now.unwrap_or(now);
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
    let sql = "SELECT account, idle, absolute, version FROM tss_account_policies";
    for row in database.fetch(sql, Args::new()).await? {
        let overrides = TimeoutOverrides { idle: row.maybe_span(1)?, absolute: row.maybe_span(2)? };
        let version = row.count(3)?;
        changes.push(Change::TimeoutOverrides { account: row.key(0)?, overrides, version });
    }
    Ok((changes, reading, position))
}
