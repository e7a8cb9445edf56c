//! The logs: the rows of a user are a list in the user's slot; the rows of an
//! account and of everything are lists of where to find them, those of a subject are the rows of its
//! users.
//!
//! A row begins with its instant and its number, 24 bytes by which it is ordered and found.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use futures_util::future::{join_all, try_join, try_join_all};

use super::{
    Inner,
    answer::{Args, strings},
    bytes::{Reader, Writer},
    failure::Failure,
    script::Script,
};
use crate::{
    identity::{Scope, StoreKey},
    maybe_ready::StoreError,
    store::{Cursor, ListQuery, Page},
    time::Timestamp,
};

static INDEX_ROW: Script = Script::new(include_str!("scripts/index_row.lua"));
static LOG: Script =
    Script::new(concat!(include_str!("scripts/append.lua"), include_str!("scripts/log.lua")));

/// Rows this much older than the newest of their user are removed.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How many rows of one class a log keeps of each user.
const MAX_ROWS: u64 = 1000;

/// How many rows are written or read at the same time.
const PIECE: usize = 64;

/// The length of what a row begins with.
const PREFIX: usize = 24;

/// The owner of rows about no user, subject or account.
const NOBODY: StoreKey = StoreKey::from_bytes([0; 16]);

/// A log.
#[derive(Clone, Copy)]
pub(super) struct Log {
    /// The names of the rows' keys, one for each class.
    pub(super) classes: &'static [char],
    /// The name of the lists' keys.
    pub(super) list: char,
}

/// Whom a row is about.
#[derive(Clone, Copy, Default)]
pub(super) struct About {
    pub(super) user: Option<StoreKey>,
    pub(super) subject: Option<StoreKey>,
    pub(super) account: Option<StoreKey>,
}

impl About {
    fn owner(self) -> StoreKey {
        self.user.or(self.subject).or(self.account).unwrap_or(NOBODY)
    }
}

/// A row to append.
pub(super) struct LogRow {
    /// The key of the rows of its user.
    pub(super) log: Vec<u8>,
    row: Vec<u8>,
    at: Timestamp,
    about: About,
    /// The keys of the lists that it is in, and what is in them.
    lists: Vec<Vec<u8>>,
    place: Vec<u8>,
}

impl LogRow {
    /// Adds the arguments of `append.lua`.
    pub(super) fn add_to(&self, args: Args) -> Args {
        self.add_row_to(args.number(MAX_ROWS).bytes(self.oldest()).life(MAX_AGE))
    }

    /// Adds the row to those of `append.lua`.
    pub(super) fn add_row_to(&self, args: Args) -> Args {
        args.bytes(self.row.clone())
    }

    fn oldest(&self) -> Vec<u8> {
        (self.at - MAX_AGE).as_millis().to_be_bytes().to_vec()
    }
}

impl Inner {
    /// Makes a row of a class of `log` of what is packed.
    pub(super) fn log_row(
        &self,
        log: Log,
        class: usize,
        about: About,
        at: Timestamp,
        packed: Vec<u8>,
    ) -> LogRow {
        let number = self.rows.fetch_add(1, Relaxed);
        let prefix = Writer::new().bytes(&at.as_millis().to_be_bytes());
        let prefix = prefix.bytes(&number.to_be_bytes()).bytes(&self.random.to_be_bytes()).finish();
        let owner = about.owner();
        let class_index = u8::try_from(class).unwrap_or_default();
        let place = Writer::new().bytes(&prefix).byte(class_index).key(owner).finish();
        LogRow {
            log: self.keys.log(log.classes[class], owner),
            row: [prefix, packed].concat(),
            at,
            about,
            lists: self.log_lists(log, about),
            place,
        }
    }

    /// The keys of the lists that rows about somebody are in.
    fn log_lists(&self, log: Log, about: About) -> Vec<Vec<u8>> {
        let of_account = about.account.map(|account| self.keys.log(log.list, account));
        let whole = self.lists_everything.then(|| self.keys.whole_log(log.list));
        of_account.into_iter().chain(whole).collect()
    }

    /// Puts rows into their lists. A list may name rows that are not written, or removed.
    pub(super) async fn index_rows(&self, rows: &[LogRow]) -> Result<(), Failure> {
        try_join_all(rows.iter().map(|row| self.index_row(row))).await?;
        Ok(())
    }

    async fn index_row(&self, row: &LogRow) -> Result<(), Failure> {
        let args = Args::new().bytes(row.oldest()).life(MAX_AGE).bytes(row.place.clone()).finish();
        let adds = row
            .lists
            .iter()
            .map(|list| self.connection.run(&INDEX_ROW, std::slice::from_ref(list), &args));
        let placed = async {
            let (Some(user), Some(subject)) = (row.about.user, row.about.subject) else {
                return Ok(());
            };
            let bucket = self.keys.users_by_subject(subject);
            self.place(bucket, subject, user, row.at, row.at + MAX_AGE).await
        };
        try_join(placed, try_join_all(adds)).await.map(drop)
    }

    /// Writes a row that is in its lists. Returns the rows that were removed for it.
    pub(super) async fn write_row(&self, row: &LogRow) -> Result<Vec<Vec<u8>>, Failure> {
        let args = row.add_to(Args::new()).finish();
        strings(self.connection.run(&LOG, std::slice::from_ref(&row.log), &args).await?)
    }

    /// Appends rows, and takes those that are removed for them out of their lists.
    pub(super) async fn append_rows(
        &self,
        log: Log,
        rows: &[LogRow],
        about: impl Fn(&[u8]) -> Result<About, Failure>,
    ) -> Result<(), StoreError> {
        for piece in rows.chunks(PIECE) {
            let appends = piece.iter().map(|row| async {
                self.index_row(row).await?;
                self.write_row(row).await
            });
            for removed in join_all(appends).await {
                self.unindex_rows(log, removed?, &about).await?;
            }
        }
        Ok(())
    }

    /// Takes removed rows out of the lists that they are in.
    pub(super) async fn unindex_rows(
        &self,
        log: Log,
        removed: Vec<Vec<u8>>,
        about: impl Fn(&[u8]) -> Result<About, Failure>,
    ) -> Result<(), Failure> {
        let mut commands = Vec::new();
        for row in removed {
            let (prefix, packed) = row.split_at_checked(PREFIX).ok_or_else(Failure::malformed)?;
            let about = about(packed)?;
            for list in self.log_lists(log, about) {
                let mut command = redis::cmd("ZREM");
                command.arg(list);
                for class in 0..log.classes.len() {
                    let class = u8::try_from(class).unwrap_or_default();
                    let place = Writer::new().bytes(prefix).byte(class).key(about.owner());
                    command.arg(place.finish());
                }
                commands.push(command);
            }
        }
        let removals = commands.iter().map(|command| self.connection.query(command));
        join_all(removals).await.into_iter().try_for_each(|removed| removed.map(drop))
    }

    /// Returns a page of the rows of `scope`; `unpack` reads what follows a row's instant and number.
    pub(super) async fn log_page<T>(
        &self,
        log: Log,
        scope: Scope,
        query: &ListQuery,
        unpack: impl Fn(Timestamp, &[u8]) -> Result<T, Failure>,
    ) -> Result<Page<T>, StoreError> {
        let _in_flight = self.lists.acquire(scope.key()).await;
        let wanted = query.limit() as usize + 1;
        let mut before = query.cursor().map_or_else(
            || b"+".to_vec(),
            |cursor| {
                let at = cursor.at.to_be_bytes();
                [b"(", &at[..], &cursor.id.to_be_bytes()].concat()
            },
        );
        let mut rows = Vec::new();
        loop {
            let found = match scope {
                Scope::User(user) => self.own_rows(log, &[user], &before, wanted).await?,
                Scope::Subject(subject) => {
                    let mut owners = self.subject_users(subject).await?;
                    owners.push(subject);
                    self.own_rows(log, &owners, &before, wanted).await?
                }
                Scope::Account(key) => {
                    let list = self.keys.log(log.list, key);
                    self.listed_rows(log, list, &before, wanted).await?
                }
                Scope::Everything(_) => {
                    self.check_everything()?;
                    let list = self.keys.whole_log(log.list);
                    self.listed_rows(log, list, &before, wanted).await?
                }
            };
            rows.extend(found.rows);
            match found.next {
                Some(next) if rows.len() < wanted => before = [b"(", &next[..]].concat(),
                _ => break,
            }
        }
        rows.truncate(wanted);
        let mut items = Vec::new();
        for row in &rows {
            let mut reader = Reader::new(row);
            let at = u64::from_be_bytes(array_of(reader.bytes(8)?)?);
            let id = u128::from_be_bytes(array_of(reader.bytes(16)?)?);
            let packed = row.get(PREFIX..).unwrap_or_default();
            items.push((Cursor::new(at, id), unpack(Timestamp::from_millis(at), packed)?));
        }
        let page = Page::new(items, query, |(cursor, _)| *cursor);
        Ok(Page { items: page.items.into_iter().map(|(_, item)| item).collect(), next: page.next })
    }

    /// Returns the rows of users, of all classes, the latest first.
    async fn own_rows(
        &self,
        log: Log,
        owners: &[StoreKey],
        before: &[u8],
        count: usize,
    ) -> Result<Found, Failure> {
        let logs = owners.iter().flat_map(|owner| {
            let classes = log.classes.iter();
            classes.map(|class| self.keys.log(*class, *owner)).collect::<Vec<_>>()
        });
        let mut rows = Vec::new();
        for found in join_all(logs.map(|key| self.rows_of(key))).await {
            rows.extend(found?);
        }
        if let Some(before) = before.strip_prefix(b"(") {
            rows.retain(|row| row[..] < *before);
        }
        rows.sort_unstable_by(|one, other| other.cmp(one));
        // A row whose command was sent twice is there twice.
        rows.dedup();
        rows.truncate(count);
        Ok(Found { rows, next: None })
    }

    /// Returns all rows of a log.
    async fn rows_of(&self, log: Vec<u8>) -> Result<Vec<Vec<u8>>, Failure> {
        let mut command = redis::cmd("LRANGE");
        command.arg(log).arg(0).arg(-1);
        strings(self.connection.query(&command).await?)
    }

    /// Returns the rows that a list names and that are still there.
    async fn listed_rows(
        &self,
        log: Log,
        list: Vec<u8>,
        before: &[u8],
        count: usize,
    ) -> Result<Found, Failure> {
        let places = self.latest(list, before, count).await?;
        let next = places.last().filter(|_| places.len() == count).cloned();
        let mut logs = HashMap::<Vec<u8>, HashSet<&[u8]>>::new();
        for place in &places {
            let mut reader = Reader::new(place);
            let prefix = reader.bytes(PREFIX)?;
            let class = usize::from(reader.byte()?);
            let class = log.classes.get(class).ok_or_else(Failure::malformed)?;
            logs.entry(self.keys.log(*class, reader.key()?)).or_default().insert(prefix);
        }
        let (logs, mut rows) = (logs.into_iter().collect::<Vec<_>>(), Vec::new());
        for piece in logs.chunks(PIECE) {
            let found = join_all(piece.iter().map(|(log, _)| self.rows_of(log.clone()))).await;
            for (found, (_, named)) in found.into_iter().zip(piece) {
                let is_named =
                    |row: &Vec<u8>| row.get(..PREFIX).is_some_and(|it| named.contains(it));
                rows.extend(found?.into_iter().filter(is_named));
            }
        }
        rows.sort_unstable_by(|one, other| other.cmp(one));
        rows.dedup();
        Ok(Found { rows, next })
    }

    /// Returns members of a sorted set of equal scores before one, the last first.
    pub(super) async fn latest(
        &self,
        key: Vec<u8>,
        before: &[u8],
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let mut command = redis::cmd("ZREVRANGEBYLEX");
        command.arg(key).arg(before).arg("-").arg("LIMIT").arg(0).arg(count);
        strings(self.connection.query(&command).await?)
    }
}

struct Found {
    rows: Vec<Vec<u8>>,
    /// Where to go on, if there may be more.
    next: Option<Vec<u8>>,
}

fn array_of<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| Failure::malformed())
}
