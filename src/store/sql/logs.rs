//! What the audit log and the activity log have in common: pages, and limits of age and count.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Inner,
    database::{Database, Tx},
    failure::Failure,
    value::{Args, Row},
};
use crate::{
    identity::Scope,
    maybe_ready::StoreError,
    store::{Cursor, ListQuery, Page},
    time::Timestamp,
};

/// Rows this much older than the newest row of their log are removed.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How many rows a log keeps; a few more between two removals.
const MAX_ROWS: i64 = 100_000;

/// Rows beyond the count are looked for once per this many appended rows.
const ROWS_PER_CLEANUP: u64 = 1_000;

/// The most rows that one statement removes beyond the count, as in the statement.
const CLEANUP_STEP: u64 = 2_000;

/// How many rows are written by one statement.
pub(super) const PIECE: usize = 500;

/// The tables of the logs.
pub(super) const TABLES: [&str; 2] = ["tss_audit", "tss_activity"];

/// Removes rows of `table` that are too old beside a row of `newest`.
pub(super) async fn remove_old(
    tx: &mut Tx,
    table: &'static str,
    newest: Timestamp,
) -> Result<(), Failure> {
    let sql = format!(
        "DELETE FROM {table} WHERE id IN
            (SELECT id FROM {table} WHERE at < $1 ORDER BY at LIMIT 1000)"
    );
    tx.execute(sql, Args::new().time(newest - MAX_AGE)).await.map(drop)
}

/// Removes rows beyond the count, by a bounded step. Returns whether there may be more.
pub(super) async fn remove_surplus(database: &Database) -> Result<bool, Failure> {
    let mut has_more = false;
    for table in TABLES {
        let sql = format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table}
                WHERE (at, id) <= (SELECT at, id FROM {table}
                    ORDER BY at DESC, id DESC LIMIT 1 OFFSET $1)
                ORDER BY at, id LIMIT 2000)"
        );
        has_more |= database.execute(sql, Args::new().int(MAX_ROWS)).await? >= CLEANUP_STEP;
    }
    Ok(has_more)
}

impl Inner {
    /// Counts rows that were appended, and removes rows beyond the count once in a while.
    pub(super) async fn count_appended(&self, count: usize) {
        let count = count as u64;
        let before = self.appended.fetch_add(count, Relaxed);
        if before / ROWS_PER_CLEANUP != (before + count) / ROWS_PER_CLEANUP {
            // The rows are committed. A failure to remove others is not a failure to append.
            drop(remove_surplus(&self.database).await);
        }
    }

    /// Returns a page of `columns` of the rows of `scope` in `table`; `read` reads them from the
    /// third column of a row on.
    pub(super) async fn log_page<T>(
        &self,
        (table, columns): (&'static str, &'static str),
        scope: Scope,
        query: &ListQuery,
        read: impl Fn(&Row, Timestamp) -> Result<T, Failure>,
    ) -> Result<Page<T>, StoreError> {
        let of_scope = match scope {
            Scope::User(_) => "user_key = $2",
            Scope::Subject(_) => "subject_key = $2",
            Scope::Account(_) => "account_key = $2",
            Scope::Everything(_) => "$2 = $2",
        };
        let mut args = Args::new().int(i64::from(query.limit()) + 1).key(scope.key());
        let mut after = "";
        if let Some(cursor) = query.cursor() {
            after = "AND (at, id) < ($3, $4)";
            let id = i64::try_from(cursor.id).unwrap_or(i64::MAX);
            args = args.time(Timestamp::from_millis(cursor.at)).int(id);
        }
        let sql = format!(
            "SELECT id, at, {columns} FROM {table} WHERE {of_scope} {after}
            ORDER BY at DESC, id DESC LIMIT $1"
        );
        let rows = self.database.fetch(sql, args).await?;
        let rows = rows.iter().map(|row| {
            let at = row.time(1)?;
            Ok((Cursor::new(at.as_millis(), row.count(0)?.into()), read(row, at)?))
        });
        let page = Page::new(rows.collect::<Result<_, Failure>>()?, query, |(cursor, _)| *cursor);
        let items = page.items.into_iter().map(|(_, item)| item).collect();
        Ok(Page { items, next: page.next })
    }
}
