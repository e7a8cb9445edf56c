//! The arguments of statements and the values of rows, for either database.

use std::time::Duration;

#[cfg(feature = "postgres")]
use sqlx::postgres::PgRow;
#[cfg(feature = "sqlite")]
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Encode, Row as _, Type, query::Query};

use super::failure::Failure;
use crate::{identity::StoreKey, maybe_ready::StoreError, time::Timestamp};

/// Instants and durations from here on are stored as "never". The sum of two still fits.
const NEVER: i64 = 1 << 61;

/// The arguments of a statement, in the order of `$1`, `$2` ..
#[derive(Default)]
pub(super) struct Args(Vec<Arg>);

enum Arg {
    Int(Option<i64>),
    Blob(Option<Vec<u8>>),
    Text(Option<String>),
}

impl Args {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn key(self, key: StoreKey) -> Self {
        self.maybe_key(Some(key))
    }

    pub(super) fn maybe_key(self, key: Option<StoreKey>) -> Self {
        self.with(Arg::Blob(key.map(|key| key.as_bytes().to_vec())))
    }

    pub(super) fn cursor_id(self, id: u128) -> Self {
        self.key(StoreKey::from_bytes(id.to_be_bytes()))
    }

    pub(super) fn time(self, at: Timestamp) -> Self {
        self.int(kept(at.as_millis()))
    }

    pub(super) fn maybe_time(self, at: Option<Timestamp>) -> Self {
        self.with(Arg::Int(at.map(|at| kept(at.as_millis()))))
    }

    pub(super) fn span(self, span: Duration) -> Self {
        self.maybe_span(Some(span))
    }

    pub(super) fn maybe_span(self, span: Option<Duration>) -> Self {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.with(Arg::Int(span.map(|span| kept(millis(span)))))
    }

    /// A count that fits.
    pub(super) fn count(self, count: u64) -> Self {
        self.int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub(super) fn int(self, int: i64) -> Self {
        self.with(Arg::Int(Some(int)))
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.maybe_text(Some(text))
    }

    pub(super) fn maybe_text(self, text: Option<&str>) -> Self {
        self.with(Arg::Text(text.map(escaped)))
    }

    fn with(mut self, arg: Arg) -> Self {
        self.0.push(arg);
        self
    }

    /// Binds the arguments to a statement.
    pub(super) fn bind<DB>(&self, sql: &Sql) -> Query<'static, DB, DB::Arguments>
    where
        DB: Database,
        Option<i64>: Encode<'static, DB> + Type<DB>,
        Option<Vec<u8>>: Encode<'static, DB> + Type<DB>,
        Option<String>: Encode<'static, DB> + Type<DB>,
    {
        let query = match sql {
            Sql::Fixed(text) => sqlx::query(*text),
            Sql::Composed(text) => sqlx::query(sqlx::AssertSqlSafe(text.clone())),
        };
        self.0.iter().fold(query, |query, arg| match arg {
            Arg::Int(int) => query.bind(*int),
            Arg::Blob(blob) => query.bind(blob.clone()),
            Arg::Text(text) => query.bind(text.clone()),
        })
    }
}

/// The text of a statement. Values are never part of it.
pub(super) enum Sql {
    Fixed(&'static str),
    Composed(String),
}

impl Sql {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Composed(text) => text,
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::Composed(text)
    }
}

/// Returns the placeholders of `rows` rows with `columns` columns: `($1,$2),($3,$4)`.
pub(super) fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| format!("({})", numbered(row * columns + 1, columns));
    (0..rows).map(row).collect::<Vec<_>>().join(",")
}

/// Returns `count` placeholders from the number `first` on: `$3,$4`.
pub(super) fn numbered(first: usize, count: usize) -> String {
    (first..first + count).map(|number| format!("${number}")).collect::<Vec<_>>().join(",")
}

/// A row of a result, read by column position.
pub(super) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(PgRow),
}

impl Row {
    pub(super) fn maybe_int(&self, at: usize) -> Result<Option<i64>, Failure> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => row.try_get(at)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(at)?,
        })
    }

    pub(super) fn maybe_text(&self, at: usize) -> Result<Option<String>, Failure> {
        let text: Option<String> = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => row.try_get(at)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(at)?,
        };
        Ok(text.map(unescaped))
    }

    pub(super) fn maybe_key(&self, at: usize) -> Result<Option<StoreKey>, Failure> {
        let bytes: Option<&[u8]> = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => row.try_get(at)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(row) => row.try_get(at)?,
        };
        let key =
            |bytes: &[u8]| bytes.try_into().map(StoreKey::from_bytes).map_err(|_| malformed());
        bytes.map(key).transpose()
    }

    pub(super) fn int(&self, at: usize) -> Result<i64, Failure> {
        self.maybe_int(at)?.ok_or_else(malformed)
    }

    pub(super) fn text(&self, at: usize) -> Result<String, Failure> {
        self.maybe_text(at)?.ok_or_else(malformed)
    }

    pub(super) fn key(&self, at: usize) -> Result<StoreKey, Failure> {
        self.maybe_key(at)?.ok_or_else(malformed)
    }

    pub(super) fn generation(&self, at: usize) -> Result<u32, Failure> {
        u32::try_from(self.int(at)?).map_err(|_| malformed())
    }

    pub(super) fn count(&self, at: usize) -> Result<u64, Failure> {
        u64::try_from(self.int(at)?).map_err(|_| malformed())
    }

    pub(super) fn maybe_time(&self, at: usize) -> Result<Option<Timestamp>, Failure> {
        Ok(self.maybe_int(at)?.map(|kept| Timestamp::from_millis(read(kept))))
    }

    pub(super) fn time(&self, at: usize) -> Result<Timestamp, Failure> {
        self.maybe_time(at)?.ok_or_else(malformed)
    }

    pub(super) fn maybe_span(&self, at: usize) -> Result<Option<Duration>, Failure> {
        Ok(self.maybe_int(at)?.map(|kept| Duration::from_millis(read(kept))))
    }

    pub(super) fn span(&self, at: usize) -> Result<Duration, Failure> {
        self.maybe_span(at)?.ok_or_else(malformed)
    }
}

fn kept(millis: u64) -> i64 {
    i64::try_from(millis).map_or(NEVER, |millis| millis.min(NEVER))
}

fn read(kept: i64) -> u64 {
    if kept >= NEVER { u64::MAX } else { kept.try_into().unwrap_or_default() }
}

pub(super) fn malformed() -> Failure {
    StoreError::new("a row of the database is malformed").into()
}

/// Escapes itself, and NUL, which Postgres cannot store in a text.
const ESCAPE: char = '\u{1b}';

fn escaped(text: &str) -> String {
    if !text.contains(['\0', ESCAPE]) {
        return text.to_owned();
    }
    text.replace(ESCAPE, "\u{1b}e").replace('\0', "\u{1b}0")
}

fn unescaped(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    text.replace("\u{1b}0", "\0").replace("\u{1b}e", "\u{1b}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_that_never_comes_is_stored_as_never() {
        for millis in [0, 1, u64::MAX] {
            assert_eq!(read(kept(millis)), millis);
        }
        assert!(kept(u64::MAX).checked_add(kept(u64::MAX)).is_some());
    }

    #[test]
    fn placeholders_are_numbered_across_rows() {
        assert_eq!(placeholders(2, 2), "($1,$2),($3,$4)");
    }

    #[test]
    fn texts_are_unescaped_as_they_were_escaped() {
        for text in ["", "plain", "\0", "\u{1b}", "\u{1b}0", "\u{1b}e\0", "a\0\u{1b}\0e"] {
            let kept = escaped(text);
            assert!(!kept.contains('\0'), "{text:?}");
            assert_eq!(unescaped(kept), text);
        }
    }
}
