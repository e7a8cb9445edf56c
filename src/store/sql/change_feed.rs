//! What one node tells the others, in the order in which it was committed.

use super::{
    Inner,
    database::{Database, Tx},
    failure::Failure,
    value::{Args, Row, placeholders},
};
use crate::{
    identity::StoreKey, maybe_ready::StoreError, policy::TimeoutOverrides, store::RevocationCutoff,
    time::Timestamp,
};

/// Something that every node must hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Ended { session: StoreKey, until: Timestamp },
    Spared { session: StoreKey, at: Timestamp, until: Timestamp },
    Mark { scope: StoreKey, at: Timestamp, until: Timestamp },
    TimeoutOverrides { account: StoreKey, overrides: TimeoutOverrides },
}

/// How many rows are written, or read, by one statement.
const PIECE: usize = 500;
const PIECE_LIMIT: i64 = 500;

const COLUMNS: usize = 9;

/// A transaction's place in the order of news. Whoever holds one holds back all others until its
/// transaction has ended, so that no node ever reads past news that are still to come.
pub(super) struct ChangeFeed(i64);

impl ChangeFeed {
    /// Taken before any session is written, by every step that has news: who waits for a turn
    /// holds nothing that its holder may want.
    pub(super) async fn take(tx: &mut Tx) -> Result<Self, Failure> {
        let sql = "UPDATE tss_change_seq SET seq = seq + 1 WHERE one = 1 RETURNING seq";
        let row = tx.first(sql, Args::new()).await?;
        let row = row.ok_or_else(|| StoreError::new("the database has lost its head row"))?;
        Ok(Self(row.int(0)?))
    }

    /// Writes down news; they are heard in this order. Once a turn.
    pub(super) async fn publish(self, tx: &mut Tx, changes: &[Change]) -> Result<(), Failure> {
        let mut item = 0;
        for piece in changes.chunks(PIECE) {
            let mut args = Args::new();
            for changes in piece {
                item += 1;
                args = changes.write(args.int(self.0).int(item).time(tx.begun));
            }
            let rows = placeholders(piece.len(), COLUMNS);
            let sql = format!(
                "INSERT INTO tss_changes (seq, item, recorded_at, kind, key, at, until, idle, absolute)
                 VALUES {rows}"
            );
            tx.execute(sql, args).await?;
        }
        Ok(())
    }
}

impl Change {
    fn write(&self, args: Args) -> Args {
        match *self {
            Self::Ended { session, until } => {
                args.int(0).key(session).maybe_time(None).time(until).int(0).int(0)
            }
            Self::Spared { session, at, until } => {
                args.int(1).key(session).time(at).time(until).int(0).int(0)
            }
            Self::Mark { scope, at, until } => {
                args.int(2).key(scope).time(at).time(until).int(0).int(0)
            }
            Self::TimeoutOverrides { account, overrides } => (args.int(3).key(account))
                .maybe_time(None)
                .maybe_time(None)
                .maybe_span(overrides.idle)
                .maybe_span(overrides.absolute),
        }
    }

    /// None of a kind that a later version of this crate has written.
    fn read(row: &Row) -> Result<Option<Self>, Failure> {
        let key = row.key(5)?;
        Ok(Some(match row.int(4)? {
            0 => Self::Ended { session: key, until: row.time(7)? },
            1 => Self::Spared { session: key, at: row.time(6)?, until: row.time(7)? },
            2 => Self::Mark { scope: key, at: row.time(6)?, until: row.time(7)? },
            3 => {
                let overrides =
                    TimeoutOverrides { idle: row.maybe_span(8)?, absolute: row.maybe_span(9)? };
                Self::TimeoutOverrides { account: key, overrides }
            }
            _ => return Ok(None),
        }))
    }
}

/// The last news that were read.
#[derive(Clone, Copy)]
pub(super) struct ChangePosition {
    seq: i64,
    item: i64,
}

/// The news behind `place`, and whether there may be more; `None` if `place` is unknown or some
/// behind it were forgotten: then all there is must be read anew.
async fn read_behind(
    database: &Database,
    place: &mut ChangePosition,
) -> Result<Option<(Vec<Change>, bool)>, Failure> {
    let sql =
        "SELECT h.seq, h.trimmed_to, n.seq, n.item, n.kind, n.key, n.at, n.until, n.idle, n.absolute
        FROM tss_change_seq AS h
        LEFT JOIN tss_changes AS n ON (n.seq, n.item) > ($1, $2)
        WHERE h.one = 1 ORDER BY n.seq, n.item LIMIT $3";
    let args = Args::new().int(place.seq).int(place.item).int(PIECE_LIMIT);
    let rows = database.fetch(sql, args).await?;
    let mut changes = Vec::new();
    let mut behind = *place;
    for row in &rows {
        // A head that went back is another database than the one that was read before.
        if row.int(1)? > place.seq || row.int(0)? < place.seq {
            return Ok(None);
        }
        let Some(seq) = row.maybe_int(2)? else { continue };
        behind = ChangePosition { seq, item: row.int(3)? };
        changes.extend(Change::read(row)?);
    }
    *place = behind;
    Ok(Some((changes, rows.len() >= PIECE)))
}

/// Everything that stands at `now`, and the place of the news behind it.
async fn read_all(
    database: &Database,
    now: Timestamp,
) -> Result<(Vec<Change>, ChangePosition), Failure> {
    // The place first: what is committed meanwhile is heard twice, and none is missed.
    let sql = "SELECT seq FROM tss_change_seq WHERE one = 1";
    let head = database.fetch(sql, Args::new()).await?;
    let head = head.first().ok_or_else(|| StoreError::new("the database has lost its head row"))?;
    let place = ChangePosition { seq: head.int(0)?, item: i64::MAX };
    let mut marks = Vec::new();
    let mut latest = now;
    let sql = "SELECT scope, at, until FROM tss_revocations WHERE until > $1";
    for row in database.fetch(sql, Args::new().time(now)).await? {
        latest = latest.max(row.time(2)?);
        marks.push(Change::Mark { scope: row.key(0)?, at: row.time(1)?, until: row.time(2)? });
    }
    // Read after the marks, so that none is heard without those that it spares; heard before.
    let mut changes = Vec::new();
    let sql =
        "SELECT key, exempt_until FROM tss_sessions WHERE exempt_until > 0 AND forget_at > $1";
    for row in database.fetch(sql, Args::new().time(now)).await? {
        changes.push(Change::Spared { session: row.key(0)?, at: row.time(1)?, until: latest });
    }
    changes.append(&mut marks);
    let sql = "SELECT account, idle, absolute FROM tss_account_policies";
    for row in database.fetch(sql, Args::new()).await? {
        let overrides = TimeoutOverrides { idle: row.maybe_span(1)?, absolute: row.maybe_span(2)? };
        changes.push(Change::TimeoutOverrides { account: row.key(0)?, overrides });
    }
    Ok((changes, place))
}

impl Inner {
    /// Reads what other nodes have committed since it was last asked. One statement, if that was
    /// not long ago.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        let mut place = self.sync_state.place.lock().await;
        self.sync_from(&mut place).await
    }

    /// Listens, if it could not for so long that what this node knows may not be relied upon.
    pub(super) async fn sync_if_stale(&self) -> Result<(), StoreError> {
        if self.is_up_to_date() {
            return Ok(());
        }
        let mut place = self.sync_state.place.lock().await;
        // Another request may have listened while this one waited.
        if self.is_up_to_date() {
            return Ok(());
        }
        self.sync_from(&mut place).await
    }

    async fn sync_from(&self, place: &mut Option<ChangePosition>) -> Result<(), StoreError> {
        let asked_at = self.clock.now();
        while let Some(behind) = place {
            let Some((changes, more)) = read_behind(&self.database, behind).await? else {
                *place = None;
                break;
            };
            self.apply(&changes);
            if !more {
                self.sync_state.note(asked_at);
                return Ok(());
            }
        }
        let (changes, at) = read_all(&self.database, asked_at).await?;
        self.node_cache.invalidate();
        self.apply(&changes);
        *place = Some(at);
        self.sync_state.note(asked_at);
        Ok(())
    }

    /// Takes news to heart, this node's own too, as soon as they are committed.
    pub(super) fn apply(&self, changes: &[Change]) {
        for changes in changes {
            match *changes {
                Change::Ended { session, until } => {
                    self.node_cache.end(session, until, self.clock.now());
                }
                Change::Spared { session, at, until } => {
                    self.revocations.exempt(session, at, until)
                }
                Change::Mark { scope, at, until } => {
                    self.revocations.add_cutoff(scope, RevocationCutoff::new(at, until))
                }
                Change::TimeoutOverrides { account, overrides } => {
                    self.account_policies.set_overrides(account, overrides);
                }
            }
        }
    }
}
