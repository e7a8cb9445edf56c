//! How a node reads the change feed: what is new since its position, or everything.

use super::{
    change::{self, COLUMNS, REVOKED, TOMBSTONE_FOLDED},
    change_feed::no_head,
    database::Database,
    failure::Failure,
    feed_order::FeedOrder,
    value::{Args, Row, malformed},
};
use crate::{
    identity::StoreKey,
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff, node::Change},
    time::Timestamp,
};

/// The most changes that one statement reads.
const PIECE: usize = 500;
const PIECE_LIMIT: i64 = 500;

/// What a node has read, of which store.
pub(super) struct ChangePosition {
    /// Another one after the tables were made anew.
    store: StoreId,
    /// When its server was started, as [`Head::started_at`].
    server: Option<i64>,
    /// The last change; it stays where it is until it is trimmed.
    last: Option<LastChange>,
    read: ReadTo,
}

/// What tells one store from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct StoreId {
    /// Random.
    id: Option<StoreKey>,
    /// Which table it is in, on Postgres: a dump that is restored makes another.
    table: Option<i64>,
}

/// A change that a node has read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LastChange {
    seq: i64,
    item: i64,
    recorded_at: Timestamp,
    key: StoreKey,
}

enum ReadTo {
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
    store: StoreId,
    /// When a node found that data was lost; the epoch if never.
    lost_at: Timestamp,
    /// When a node suspected that last; the epoch if never.
    suspected_at: Timestamp,
    /// When the server was started, in microseconds: after a restart or a failover another one. Of a SQLite
    /// file the number of its schema, which SQLite changes when a copy is restored into it.
    started_at: Option<i64>,
}

/// Whether changes can be read from a position on.
enum Follows {
    Yes,
    /// Some of the changes after it were removed.
    Behind,
    /// The database has lost data, or is another one.
    Lost,
}

impl Head {
    const COLUMN_COUNT: usize = 9;

    /// The columns, of `tss_change_seq AS h`.
    fn columns(order: FeedOrder, store_now: &str) -> String {
        let (snapshot, table, started) = match order {
            FeedOrder::Commits => {
                ("NULL", "NULL", "(SELECT schema_version FROM pragma_schema_version)")
            }
            FeedOrder::Transactions => (
                "CAST(pg_current_snapshot() AS TEXT)",
                "CAST(h.tableoid AS BIGINT)",
                "CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) * 1000000 AS BIGINT)",
            ),
        };
        format!(
            "{store_now}, h.trimmed_to, h.seq, {snapshot}, h.store_id, {table}, h.lost_at, \
            {started}, h.suspected_at"
        )
    }

    fn read(row: &Row) -> Result<Self, Failure> {
        let snapshot = row.maybe_text(3)?;
        Ok(Self {
            store_now: row.maybe_time(0)?,
            trimmed_to: row.int(1)?,
            seq: row.int(2)?,
            snapshot: snapshot.as_deref().map(Snapshot::from_text).transpose()?,
            store: StoreId { id: row.maybe_key(4)?, table: row.maybe_int(5)? },
            lost_at: row.time(6)?,
            started_at: row.maybe_int(7)?,
            suspected_at: row.time(8)?,
        })
    }

    fn reading(&self, is_same_server: bool) -> Reading {
        let Self { store_now, lost_at, suspected_at, .. } = *self;
        Reading { store_now, lost_at, suspected_at, is_same_server }
    }

    /// Whether every change after `position` is still there, and the feed is the one it is a position of.
    /// `present` is what is there now in the place of the last change.
    fn follows(&self, position: &ChangePosition, present: Option<LastChange>) -> Follows {
        let is_trimmed = position.last.is_none_or(|last| last.seq <= self.trimmed_to);
        let is_there = is_trimmed && present.is_none() || present == position.last;
        if self.store != position.store || !is_there {
            return Follows::Lost;
        }
        match (&position.read, &self.snapshot) {
            (ReadTo::Commits { seq, .. }, None) if self.seq < *seq => Follows::Lost,
            (ReadTo::Commits { seq, .. }, None) if *seq < self.trimmed_to => Follows::Behind,
            (ReadTo::Transactions(last), Some(snapshot)) if snapshot.end < last.end => {
                Follows::Lost
            }
            (ReadTo::Transactions(last), Some(_)) if last.horizon <= self.trimmed_to => {
                Follows::Behind
            }
            _ => Follows::Yes,
        }
    }

    /// The position behind everything that this head's statement has seen, after `last`.
    fn position(self, last: Option<LastChange>, (seq, item): (i64, i64)) -> ChangePosition {
        let read = match self.snapshot {
            Some(snapshot) => ReadTo::Transactions(snapshot),
            None => ReadTo::Commits { seq, item },
        };
        ChangePosition { store: self.store, server: self.started_at, last, read }
    }
}

impl LastChange {
    /// Reads it from the first of [`COLUMNS`] on.
    fn read(row: &Row, seq: i64, at: usize) -> Result<Self, Failure> {
        let (item, recorded_at) = (row.int(at)?, row.time(at + 1)?);
        Ok(Self { seq, item, recorded_at, key: row.key(at + 3)? })
    }

    const fn place(&self) -> (i64, i64) {
        (self.seq, self.item)
    }
}

/// A successful reading.
pub(super) struct Reading {
    /// The time of the database, if it has a clock and the node's can be compared with it.
    pub(super) store_now: Option<Timestamp>,
    /// When a node found that data was lost; the epoch if never.
    pub(super) lost_at: Timestamp,
    /// When a node suspected that last; the epoch if never.
    pub(super) suspected_at: Timestamp,
    /// Whether the server is the one of the reading before.
    pub(super) is_same_server: bool,
}

/// What came of reading the changes after a position.
pub(super) enum Changes {
    Read(Reading),
    /// Some were removed already: everything must be read again.
    Removed,
    /// The database has lost data, or is another one.
    Lost,
}

/// Reads the changes after `position`, calls `apply` with each piece of them, and moves the position
/// behind them.
pub(super) async fn read_after(
    database: &Database,
    position: &mut ChangePosition,
    store_now: &str,
    mut apply: impl FnMut(&[Change]),
) -> Result<Changes, Failure> {
    let mut place = match position.read {
        ReadTo::Commits { seq, item } => (seq, item),
        ReadTo::Transactions(_) => (0, 0),
    };
    let sql = piece_statement(database.feed_order(), store_now);
    let mut head = None;
    let mut has_more = true;
    let mut latest = position.last;
    while has_more {
        let rows = database.fetch(sql.clone(), piece_args(position, place)).await?;
        let first_row = rows.first().ok_or_else(no_head)?;
        let here = Head::read(first_row)?;
        let present = match (position.last, first_row.maybe_time(Head::COLUMN_COUNT)?) {
            (Some(last), Some(recorded_at)) => {
                let key = first_row.key(Head::COLUMN_COUNT + 1)?;
                Some(LastChange { recorded_at, key, ..last })
            }
            _ => None,
        };
        match here.follows(position, present) {
            Follows::Yes => {}
            Follows::Behind => return Ok(Changes::Removed),
            Follows::Lost => return Ok(Changes::Lost),
        }
        // The position is that of the first piece: what is committed between two pieces is applied, and
        // read again the next time.
        head.get_or_insert(here);
        let mut changes = Vec::new();
        for row in &rows {
            // Without any change there is a row with the head alone.
            let Some(seq) = row.maybe_int(Head::COLUMN_COUNT + 2)? else { continue };
            let first = Head::COLUMN_COUNT + 3;
            let change = LastChange::read(row, seq, first)?;
            place = change.place();
            if latest.is_none_or(|latest| latest.place() < change.place()) {
                latest = Some(change);
            }
            changes.extend(change::read(row, first)?);
        }
        apply(&changes);
        has_more = rows.len() >= PIECE;
    }
    let head = head.ok_or_else(no_head)?;
    let reading = head.reading(head.started_at == position.server);
    *position = head.position(latest, place);
    Ok(Changes::Read(reading))
}

fn piece_statement(order: FeedOrder, store_now: &str) -> String {
    let head = Head::columns(order, store_now);
    let (lateral, changes) = match order {
        FeedOrder::Commits => ("", "SELECT * FROM tss_changes WHERE (seq, item) > ($1, $2)"),
        FeedOrder::Transactions => (
            "LATERAL",
            "SELECT * FROM (SELECT * FROM tss_changes WHERE seq >= $6
                UNION ALL SELECT * FROM tss_changes
                    WHERE seq = ANY(CAST(string_to_array($7, ',') AS BIGINT[]))) AS new
            WHERE (seq, item) > ($1, $2)",
        ),
    };
    format!(
        "SELECT {head}, newest.recorded_at, newest.key, n.seq, {columns} FROM tss_change_seq AS h
        LEFT JOIN tss_changes AS newest ON newest.seq = $4 AND newest.item = $5
        LEFT JOIN {lateral} ({changes} ORDER BY seq, item LIMIT $3) AS n ON 1 = 1
        WHERE h.one = 1 ORDER BY n.seq, n.item",
        columns =
            COLUMNS.split(", ").map(|column| format!("n.{column}")).collect::<Vec<_>>().join(", ")
    )
}

/// The arguments for the changes after `position` and after `place`.
fn piece_args(position: &ChangePosition, (seq, item): (i64, i64)) -> Args {
    let args = Args::new().int(seq).int(item).int(PIECE_LIMIT);
    // No change has the number 0.
    let (seq, item) = position.last.map_or((0, 0), |last| last.place());
    let args = args.int(seq).int(item);
    match &position.read {
        ReadTo::Commits { .. } => args,
        ReadTo::Transactions(read) => args.int(read.end).text(&read.in_progress),
    }
}

/// Everything that a database keeps.
pub(super) struct Everything {
    pub(super) changes: Vec<Change>,
    /// The tombstones that the feed still has.
    pub(super) past_endings: Vec<Change>,
    pub(super) reading: Reading,
    /// Where to go on.
    pub(super) position: ChangePosition,
}

/// Reads everything that is kept at `now`, or at the time of the database, as changes.
pub(super) async fn read_all(
    database: &Database,
    now: Timestamp,
    store_now: &str,
) -> Result<Everything, Failure> {
    // The position first: a change that is committed meanwhile is applied twice, and none is
    // missed.
    let head = Head::columns(database.feed_order(), store_now);
    let sql = format!("SELECT {head} FROM tss_change_seq AS h WHERE one = 1");
    let rows = database.fetch(sql, Args::new()).await?;
    let head = Head::read(rows.first().ok_or_else(no_head)?)?;
    let reading = head.reading(true);
    let place = (head.seq, i64::MAX);
    let sql =
        format!("SELECT seq, {COLUMNS} FROM tss_changes ORDER BY seq DESC, item DESC LIMIT 1");
    let rows = database.fetch(sql, Args::new()).await?;
    let last = rows.first().map(|row| LastChange::read(row, row.int(0)?, 1)).transpose()?;
    let position = head.position(last, place);
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
    let past_endings = read_past_endings(database, now).await?;
    Ok(Everything { changes, past_endings, reading, position })
}

/// Reads the tombstones that the feed still has, and are needed at `now`: those of the last hour.
async fn read_past_endings(database: &Database, now: Timestamp) -> Result<Vec<Change>, Failure> {
    let sql = format!(
        "SELECT seq, {COLUMNS} FROM tss_changes WHERE kind IN ({REVOKED}, {TOMBSTONE_FOLDED})
            AND (until > $1 OR until IS NULL) ORDER BY seq, item LIMIT 100000"
    );
    let rows = database.fetch(sql, Args::new().time(now)).await?;
    let mut endings = Vec::new();
    for row in rows {
        endings.extend(change::read(&row, 1)?);
    }
    Ok(endings)
}
