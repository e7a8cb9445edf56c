//! The change feed: a stream, read by every node, and what is kept of it for nodes that start later.

use std::error::Error as _;

use redis::Value;

use super::{
    Inner,
    answer::{Args, array, bytes, int, maybe_bytes, strings},
    failure::{Failure, FailureKind},
    kept_change::{FeedChange, LATEST_CLAIMS},
    script::Script,
};
use crate::{
    clock::Clock as _,
    identity::StoreKey,
    maybe_ready::StoreError,
    store::node::{Change, GRACE, LossSign},
    time::Timestamp,
};

static SYNC: Script = Script::new(include_str!("scripts/sync.lua"));
static PUBLISH: Script = Script::new(include_str!("scripts/publish.lua"));
static FORGET: Script = Script::new(include_str!("scripts/forget.lua"));

/// The most entries that the feed keeps, about.
const MAX_ENTRIES: u64 = 100_000;

/// How often a step is tried that conflicts with those of other nodes.
pub(super) const ATTEMPTS: usize = 16;

/// The most entries that one command reads.
const PIECE: usize = 500;

/// The id of the last entry of a feed without any.
pub(super) const NO_ENTRY: &[u8] = b"0-0";

/// What a node has read.
pub(super) struct Position {
    /// The id of the last entry.
    pub(super) id: Vec<u8>,
    /// Its number: they are counted without a gap.
    seq: i64,
    /// The random id of the store, and when it was made.
    marker: Vec<u8>,
}

impl Position {
    /// The random id of the store.
    pub(super) fn store_id(&self) -> StoreKey {
        let id = self.marker.first_chunk().copied().unwrap_or_default();
        StoreKey::from_bytes(id)
    }

    /// When the store was made, by its clock.
    pub(super) fn made_at(&self) -> Option<Timestamp> {
        let made_at = self.marker.get(16..)?.first_chunk().copied()?;
        Some(Timestamp::from_millis(u64::from_be_bytes(made_at)))
    }
}

/// What `sync.lua` answers.
pub(super) struct Reading {
    pub(super) store_now: Timestamp,
    pub(super) seq: i64,
    marker: Vec<u8>,
    last: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

pub(super) struct Entry {
    pub(super) id: Vec<u8>,
    pub(super) seq: i64,
    pub(super) changes: Vec<FeedChange>,
}

/// What is to be kept, if what was kept before is still the same.
pub(super) struct Kept {
    field: Vec<u8>,
    /// What was read; empty for nothing.
    before: Vec<u8>,
    value: Vec<u8>,
}

/// What came of publishing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    Done,
    /// Another caller has kept the same, or the command was sent twice.
    Already,
    /// What was kept has changed; nothing was done.
    Changed,
}

impl Kept {
    pub(super) fn new(change: FeedChange, before: Vec<u8>) -> Self {
        Self { field: change.field(), before, value: change.pack() }
    }

    /// The latest claims number of all scopes.
    ///
    /// The number is followed by a nonce: if it is there already, the same command has written it.
    pub(super) fn latest_claims(number: Timestamp, before: Vec<u8>) -> Self {
        let (nonce, _) = uuid::Uuid::new_v4().as_u64_pair();
        let value = [number.as_millis(), nonce].map(u64::to_be_bytes).concat();
        Self { field: LATEST_CLAIMS.to_vec(), before, value }
    }
}

/// The rights of a user of Redis that the store needs.
pub(super) const RIGHTS: &str = "+@read +@write +@scripting +@connection +info +time";

impl Inner {
    /// Reads and applies what other nodes have published before the call.
    pub(super) async fn sync_now(&self) -> Result<(), StoreError> {
        let reading = async {
            let mut position = self.position.lock().await;
            self.sync_from(&mut position).await
        };
        self.readings.ask(reading).await
    }

    async fn sync_from(&self, position: &mut Option<Position>) -> Result<(), StoreError> {
        let asked_at = self.clock.now();
        if !self.has_same_servers() {
            self.compare_servers();
        }
        let store_now = loop {
            let from = position.as_ref().map_or(NO_ENTRY, |position| &position.id);
            let reading = self.read_feed(from).await?;
            let store_now = reading.store_now;
            let Some(last) = position else {
                let all = self.read_all(&reading).await?;
                self.read_past_endings(&reading).await?;
                *position = Some(all);
                // What was published meanwhile may be read in part.
                continue;
            };
            match self.apply_entries(last, reading) {
                Progress::Done => break store_now,
                Progress::More => {}
                Progress::Behind => *position = None,
                Progress::Lost => {
                    self.note_loss(LossSign::Certain);
                    *position = None;
                }
            }
        };
        if let Some(position) = position {
            self.recover(position.store_id(), store_now).await?;
        }
        self.finish_sync(asked_at, Some(store_now).filter(|_| self.clock.is_time_of_day()))?;
        self.repair_soon();
        Ok(())
    }

    /// Fails if the server runs no scripts, or not for this user.
    pub(super) async fn check_scripts(&self) -> Result<(), StoreError> {
        match self.read_feed(NO_ENTRY).await {
            Err(failure) if failure.kind == FailureKind::Answered => {
                let reason = StoreError::from(failure);
                Err(StoreError::new(format!(
                    "Redis refuses a script ({}): the store needs EVAL, EVALSHA and, within its \
                     namespace, `{RIGHTS}`",
                    reason.source().map(ToString::to_string).unwrap_or_default()
                )))
            }
            read => Ok(read.map(drop)?),
        }
    }

    pub(super) async fn read_feed(&self, from: &[u8]) -> Result<Reading, Failure> {
        let keys = [self.keys.feed(), self.keys.sequence(), self.keys.marker()];
        let marker = uuid::Uuid::new_v4().as_bytes().to_vec();
        // The script adds when it is made.
        let args = Args::new().bytes(from.to_vec()).number(PIECE as u64).bytes(marker);
        let answer = self.connection.run(&SYNC, &keys, &args.finish()).await?;
        let [time, seq, marker, last, entries] =
            array(answer)?.try_into().map_err(|_| Failure::unexpected_answer())?;
        Ok(Reading {
            store_now: Timestamp::from_millis(int(&time)?.unsigned_abs()),
            seq: int(&seq)?,
            marker: bytes(marker)?,
            last: bytes(last)?,
            entries: array(entries)?.into_iter().map(entry).collect::<Result<_, _>>()?,
        })
    }

    /// Applies entries, and moves the position behind them.
    fn apply_entries(&self, position: &mut Position, reading: Reading) -> Progress {
        let is_whole = reading.entries.len() < PIECE;
        if reading.marker != position.marker || reading.seq < position.seq {
            tracing::warn!("Redis has lost data, or is another server: reading everything again");
            return Progress::Lost;
        }
        // Others have taken the numbers of entries that were lost.
        let is_replaced = reading.seq == position.seq && reading.last != position.id;
        if is_replaced && reading.last != NO_ENTRY {
            return Progress::Lost;
        }
        for entry in reading.entries {
            if entry.seq <= position.seq {
                return Progress::Lost;
            }
            if entry.seq > position.seq + 1 {
                return Progress::Behind;
            }
            self.apply_feed(&entry.changes);
            (position.id, position.seq) = (entry.id, entry.seq);
        }
        match is_whole {
            false => Progress::More,
            true if position.seq < reading.seq => Progress::Behind,
            true => Progress::Done,
        }
    }

    /// Reads everything that is kept; `reading` is the head of the feed before that, so a change that is
    /// published meanwhile is applied twice, and none is missed.
    async fn read_all(&self, reading: &Reading) -> Result<Position, Failure> {
        let (mut changes, mut last) = (Vec::new(), Vec::new());
        let mut cursor = b"0".to_vec();
        loop {
            let (next, fields) = self.scan_kept(cursor).await?;
            for (field, value) in fields {
                if field == LATEST_CLAIMS {
                    continue;
                }
                for change in FeedChange::unpack(&value)? {
                    if let FeedChange::Lost { at, .. } = change
                        && self.is_past_loss(at, self.time_of_change(reading.store_now))
                    {
                        continue;
                    }
                    if change.is_applied_last() { &mut last } else { &mut changes }.push(change);
                }
            }
            if next == b"0" {
                break;
            }
            cursor = next;
        }
        changes.append(&mut last);
        self.apply_all(&[]);
        self.apply_feed(&changes);
        self.revocations.recheck_all();
        let Reading { last, seq, marker, .. } = reading;
        Ok(Position { id: last.clone(), seq: *seq, marker: marker.clone() })
    }

    /// Reads some of the fields that are kept, and where to go on.
    async fn scan_kept(
        &self,
        cursor: Vec<u8>,
    ) -> Result<(Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>), Failure> {
        let mut command = redis::cmd("HSCAN");
        command.arg(self.keys.kept()).arg(cursor).arg("COUNT").arg(PIECE);
        let [next, fields] = array(self.connection.query(&command).await?)?
            .try_into()
            .map_err(|_| Failure::unexpected_answer())?;
        let mut fields = strings(fields)?.into_iter();
        let mut pairs = Vec::new();
        while let (Some(field), Some(value)) = (fields.next(), fields.next()) {
            pairs.push((field, value));
        }
        Ok((bytes(next)?, pairs))
    }

    /// Returns what is kept in fields; empty for nothing.
    pub(super) async fn kept(&self, fields: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
        if fields.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = redis::cmd("HMGET");
        command.arg(self.keys.kept());
        for field in fields {
            command.arg(field);
        }
        let values = array(self.connection.query(&command).await?)?.into_iter();
        values.map(|value| Ok(maybe_bytes(value)?.unwrap_or_default())).collect()
    }

    /// Publishes changes in this order, and keeps those of the first `kept_count` with what was kept
    /// before. Publishes nothing if that is the same.
    pub(super) async fn publish_and_keep(
        &self,
        changes: &[FeedChange],
        kept_count: usize,
        removed: &[Vec<u8>],
    ) -> Result<Published, StoreError> {
        let own = &changes[..kept_count.min(changes.len())];
        let fields: Vec<_> = own.iter().map(FeedChange::field).collect();
        for _ in 0..ATTEMPTS {
            let mut kept = Vec::new();
            for (change, before) in own.iter().zip(self.kept(&fields).await?) {
                kept.push(Kept::new(change.merge(&before)?, before));
            }
            let published = self.publish(changes, &kept, removed).await?;
            if published != Published::Changed {
                return Ok(published);
            }
        }
        Err(StoreError::new("what Redis keeps of the feed changed too often"))
    }

    /// Publishes changes in this order, keeps `kept` of them, and removes fields, all in one
    /// step.
    pub(super) async fn publish(
        &self,
        changes: &[FeedChange],
        kept: &[Kept],
        removed: &[Vec<u8>],
    ) -> Result<Published, Failure> {
        let packed = changes.iter().flat_map(FeedChange::pack).collect();
        let args = Args::new().bytes(packed).number(MAX_ENTRIES).number(kept.len() as u64);
        let args = kept.iter().fold(args, |args, Kept { field, before, value }| {
            args.bytes(field.clone()).bytes(before.clone()).bytes(value.clone())
        });
        let args = removed.iter().fold(args, |args, field| args.bytes(field.clone()));
        let keys = [self.keys.kept(), self.keys.feed(), self.keys.sequence()];
        let answer = self.connection.run(&PUBLISH, &keys, &args.finish()).await?;
        Ok(match int(&answer)? {
            0 => Published::Changed,
            1 => Published::Done,
            _ => Published::Already,
        })
    }

    /// Applies changes of the feed to what this node knows.
    pub(super) fn apply_feed(&self, changes: &[FeedChange]) {
        for change in changes {
            match *change {
                FeedChange::Known(change) => self.apply(&[change]),
                FeedChange::Lost { at, .. } => self.hear_of_loss(at),
                FeedChange::Suspected { at, .. } => self.suspect_loss(at),
                FeedChange::WritesBack { node, until } => self.repairs.hear(node, until),
                FeedChange::RevokedUnplaced { session, until, caller, .. } => {
                    self.hold_unplaced(session, until, caller);
                    self.apply(&[Change::Revoked { session, user: None, until }]);
                }
            }
        }
    }

    /// Removes what is kept and has expired. Returns whether there may be more: never, it looks at all.
    pub(super) async fn remove_expired(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.servers.look_soon();
        self.unplaced.retain(|_, ended| now < ended.until + GRACE);
        let mut cursor = b"0".to_vec();
        loop {
            let (next, fields) = self.scan_kept(cursor).await?;
            let has_expired = |field: &[u8], value: &[u8]| {
                let changes = FeedChange::unpack(value).unwrap_or_default();
                let until = changes.first().and_then(FeedChange::until);
                field != LATEST_CLAIMS && until.is_some_and(|until| until + GRACE <= now)
            };
            let expired = fields.into_iter().filter(|(field, value)| has_expired(field, value));
            let args =
                expired.fold(Args::new(), |args, (field, value)| args.bytes(field).bytes(value));
            let args = args.finish();
            if !args.is_empty() {
                self.connection.run(&FORGET, &[self.keys.kept()], &args).await?;
            }
            if next == b"0" {
                return Ok(false);
            }
            cursor = next;
        }
    }
}

/// How far a reading has come.
enum Progress {
    Done,
    /// There may be more entries.
    More,
    /// The feed was trimmed behind what this node has read: everything must be read again.
    Behind,
    /// The store has lost data.
    Lost,
}

/// Reads an entry of the feed: its id, and `s`, its number, `c`, the changes.
fn entry(value: Value) -> Result<Entry, Failure> {
    let [id, fields] = array(value)?.try_into().map_err(|_| Failure::unexpected_answer())?;
    let [_, seq, _, changes] = strings(fields)?.try_into().map_err(|_| Failure::malformed())?;
    let seq = std::str::from_utf8(&seq).ok().and_then(|seq| seq.parse().ok());
    Ok(Entry {
        id: bytes(id)?,
        seq: seq.ok_or_else(Failure::malformed)?,
        changes: FeedChange::unpack(&changes)?,
    })
}
