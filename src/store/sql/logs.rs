//! What the audit log and the activity log have in common: pages, and limits of age and count.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Inner,
    database::{Database, Tx},
    failure::Failure,
    pools::Purpose,
    value::{Args, Row, placeholders},
};
use crate::{
    identity::Scope,
    maybe_ready::StoreError,
    store::{Cursor, ListQuery, Page},
    time::Timestamp,
};

/// Rows this much older than the newest row of their log are removed.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How many rows of each class a log keeps; some thousands more between two removals.
const MAX_ROWS: i64 = 100_000;

/// Rows beyond the count are looked for once per this many appended rows, and the most that are
/// removed at once.
const ROWS_PER_CLEANUP: u64 = 5_000;

/// How many rows are written by one statement.
pub(super) const PIECE: usize = 500;

/// The tables of the logs, and the class of a row: rows that a client can repeat displace no
/// others.
pub(super) const LOGS: [(&str, &str); 2] = [("tss_audit", "is_repeatable"), ("tss_activity", "1")];

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
    for log in LOGS {
        has_more |= cut(database, log, MAX_ROWS).await?;
    }
    Ok(has_more)
}

/// Cuts each class of a log to `max_rows`, by a bounded step. Returns whether there may be more.
///
/// A class with too many rows loses the oldest ones of the account with the most rows, and in it of
/// the user with the most rows (P31).
pub(super) async fn cut(
    database: &Database,
    (table, class): (&str, &str),
    max_rows: i64,
) -> Result<bool, Failure> {
    if count_rows(database, table, class).await? <= max_rows {
        return Ok(false);
    }
    let surplus = find_surplus(database, table, class, max_rows).await?;
    for piece in surplus.chunks(PIECE) {
        let args = piece.iter().fold(Args::new(), |args, id| args.int(*id));
        let ids = placeholders(1, piece.len());
        let sql = format!("DELETE FROM {table} WHERE id IN {ids}");
        database.execute_for(Purpose::Lifecycle, sql, args).await?;
    }
    Ok(surplus.len() as u64 >= ROWS_PER_CLEANUP)
}

/// Returns the number of rows of the largest class.
async fn count_rows(database: &Database, table: &str, class: &str) -> Result<i64, Failure> {
    let sql = format!(
        "SELECT MAX(number) FROM (SELECT COUNT(*) AS number
            FROM (SELECT {class} AS class FROM {table}) AS log GROUP BY class) AS classes"
    );
    let rows = database.fetch_for(Purpose::Lifecycle, sql, Args::new()).await?;
    let count = rows.first().map(|row| row.maybe_int(0)).transpose()?;
    Ok(count.flatten().unwrap_or_default())
}

/// Returns the ids of rows beyond `max_rows` of a class.
async fn find_surplus(
    database: &Database,
    table: &str,
    class: &str,
    max_rows: i64,
) -> Result<Vec<i64>, Failure> {
    let sql = format!(
        "SELECT id FROM (
            SELECT id, ROW_NUMBER() OVER (PARTITION BY class ORDER BY of_account, at DESC, id DESC)
                AS of_class
            FROM (
                SELECT id, at, class, ROW_NUMBER() OVER (
                    PARTITION BY class, COALESCE(account_key, owner)
                    ORDER BY of_user, at DESC, id DESC) AS of_account
                FROM (
                    SELECT id, at, class, account_key, owner, ROW_NUMBER() OVER (
                        PARTITION BY class, account_key, owner
                        ORDER BY at DESC, id DESC) AS of_user
                    FROM (SELECT id, at, {class} AS class, account_key,
                        COALESCE(user_key, subject_key) AS owner FROM {table}) AS log
                ) AS users
            ) AS accounts
        ) AS classes
        WHERE of_class > $1 ORDER BY of_class DESC LIMIT {ROWS_PER_CLEANUP}"
    );
    let rows = database.fetch_for(Purpose::Lifecycle, sql, Args::new().int(max_rows)).await?;
    rows.iter().map(|row| row.int(0)).collect()
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
        let _in_flight = self.lists.acquire(scope.key()).await;
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
        let rows = self.database.fetch_for(Purpose::List, sql, args).await?;
        let rows = rows.iter().map(|row| {
            let at = row.time(1)?;
            Ok((Cursor::new(at.as_millis(), row.count(0)?.into()), read(row, at)?))
        });
        let page = Page::new(rows.collect::<Result<_, Failure>>()?, query, |(cursor, _)| *cursor);
        let items = page.items.into_iter().map(|(_, item)| item).collect();
        Ok(Page { items, next: page.next })
    }
}
