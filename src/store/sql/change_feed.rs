//! The change feed: what one node publishes for the others, in the order of the commits.

use super::{
    Inner,
    database::{Database, Tx},
    failure::Failure,
    value::{Args, Row, placeholders},
};
use crate::{
    identity::StoreKey,
    maybe_ready::StoreError,
    policy::TimeoutOverrides,
    store::{FoldedTombstones, RevocationCutoff},
    time::Timestamp,
};

/// A change that every node applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A session has a tombstone.
    Revoked { session: StoreKey, until: Timestamp },
    /// A session is exempt from cutoffs at or before `at`.
    Exempt { session: StoreKey, at: Timestamp, until: Timestamp },
    /// A scope has a revocation cutoff.
    Cutoff { scope: StoreKey, cutoff: RevocationCutoff },
    /// An account has these overrides.
    TimeoutOverrides { account: StoreKey, overrides: TimeoutOverrides },
    /// The tombstones of a user were folded.
    Folded { user: StoreKey, folded: FoldedTombstones },
    /// The tombstone of a session is one of those that a change before this one has folded.
    TombstoneFolded { session: StoreKey },
    /// The claims of a scope have changed.
    Claims { scope: StoreKey, number: Timestamp, until: Timestamp },
}

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
                args = change.write(args.int(self.0).int(item).time(tx.begun));
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

impl Change {
    fn write(&self, args: Args) -> Args {
        match *self {
            Self::Revoked { session, until } => {
                args.int(0).key(session).maybe_time(None).time(until).int(0).int(0)
            }
            Self::Exempt { session, at, until } => {
                args.int(1).key(session).time(at).time(until).int(0).int(0)
            }
            Self::Cutoff { scope, cutoff: RevocationCutoff { at, until } } => {
                args.int(2).key(scope).time(at).time(until).int(0).int(0)
            }
            Self::TimeoutOverrides { account, overrides } => (args.int(3).key(account))
                .maybe_time(None)
                .maybe_time(None)
                .maybe_span(overrides.idle)
                .maybe_span(overrides.absolute),
            // The columns of two durations have two instants.
            Self::Folded { user, folded: FoldedTombstones { first, last, at, until } } => {
                args.int(4).key(user).time(at).time(until).time(first).time(last)
            }
            Self::TombstoneFolded { session } => {
                args.int(5).key(session).maybe_time(None).maybe_time(None).int(0).int(0)
            }
            Self::Claims { scope, number, until } => {
                args.int(6).key(scope).time(number).time(until).int(0).int(0)
            }
        }
    }

    /// Returns `None` for a kind that a later version of this crate has written.
    fn read(row: &Row) -> Result<Option<Self>, Failure> {
        let key = row.key(5)?;
        Ok(Some(match row.int(4)? {
            0 => Self::Revoked { session: key, until: row.time(7)? },
            1 => Self::Exempt { session: key, at: row.time(6)?, until: row.time(7)? },
            2 => {
                let cutoff = RevocationCutoff { at: row.time(6)?, until: row.time(7)? };
                Self::Cutoff { scope: key, cutoff }
            }
            3 => {
                let overrides =
                    TimeoutOverrides { idle: row.maybe_span(8)?, absolute: row.maybe_span(9)? };
                Self::TimeoutOverrides { account: key, overrides }
            }
            4 => {
                let (first, last) = (row.time(8)?, row.time(9)?);
                let folded = FoldedTombstones::new(first, last, row.time(6)?, row.time(7)?);
                Self::Folded { user: key, folded }
            }
            5 => Self::TombstoneFolded { session: key },
            6 => Self::Claims { scope: key, number: row.time(6)?, until: row.time(7)? },
            _ => return Ok(None),
        }))
    }
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
        changes.extend(Change::read(row)?);
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
    /// Reads and applies the changes of other nodes since the last reading: one statement, unless
    /// there are many.
    pub(super) async fn sync(&self) -> Result<(), StoreError> {
        let mut position = self.sync_state.position.lock().await;
        self.sync_from(&mut position).await
    }

    /// Syncs if the last reading is too old to rely on.
    pub(super) async fn sync_if_stale(&self) -> Result<(), StoreError> {
        if self.is_up_to_date() {
            return Ok(());
        }
        let mut position = self.sync_state.position.lock().await;
        // Another request may have synced while this one waited.
        if self.is_up_to_date() {
            return Ok(());
        }
        self.sync_from(&mut position).await
    }

    async fn sync_from(&self, position: &mut Option<ChangePosition>) -> Result<(), StoreError> {
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
        self.node_cache.invalidate();
        self.apply(&reading.changes);
        // No tombstone is among them.
        self.revocations.recheck_all();
        *position = Some(last);
        self.finish_sync(asked_at, reading.store_now)
    }

    /// What was read counts if the clock of this node is right.
    fn finish_sync(
        &self,
        asked_at: Timestamp,
        store_now: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        if let Some(store_now) = store_now {
            let answered_at = self.clock.now();
            let compared = self.sync_state.store_clock.compare(asked_at, store_now, answered_at);
            if compared.is_err() {
                self.sync_state.set_stale();
                return compared;
            }
        }
        self.sync_state.set_synced_at(asked_at);
        Ok(())
    }

    /// Applies changes to what this node knows: those of other nodes as they are read, its own as
    /// soon as they are committed.
    pub(super) fn apply(&self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Revoked { session, until } => {
                    if !self.node_cache.end(session, until, self.clock.now()) {
                        // What a concurrent request has read before must not be cached.
                        self.node_cache.invalidate();
                    }
                    self.revocations.remove_exemption(&session);
                    self.revocations.recheck_session(&session);
                }
                Change::Exempt { session, at, until } => {
                    self.revocations.exempt(session, at, until);
                }
                Change::Cutoff { scope, cutoff } => self.revocations.add_cutoff(scope, cutoff),
                Change::TimeoutOverrides { account, overrides } => {
                    self.account_policies.set_overrides(account, overrides);
                    self.revocations.recheck_account(&account);
                }
                Change::Folded { user, folded } => self.revocations.add_folded(user, folded),
                Change::TombstoneFolded { session } => self.node_cache.remove_tombstone(&session),
                Change::Claims { scope, number, until } => {
                    self.claims_changes.raise(scope, number, until);
                }
            }
        }
    }
}
