//! The logs, which forget by age and count.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use super::{
    Inner, Transaction,
    database::{Database, Tx},
    failure::Failure,
    value::{Args, Row, placeholders},
};
use crate::{
    audit::{AuditRecord, LogCategory},
    identity::Scope,
    maybe_ready::StoreError,
    store::{Cursor, ListQuery, LogScope, Page},
    time::Timestamp,
};

/// Rows older than this, seen from the newest of their log, are forgotten.
const KEPT_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// How many rows a log keeps; a little more between two looks.
const KEPT_ROWS: i64 = 100_000;

/// How many appended rows pay for one look at the count.
const ROWS_A_LOOK: u64 = 1_000;

const CATEGORIES: [LogCategory; 2] = [LogCategory::Activity, LogCategory::Security];

/// How many rows are written by one statement.
const PIECE: usize = 500;
const COLUMNS: usize = 7;

/// Writes rows down, in the transaction of what they tell of.
pub(super) async fn write(tx: &mut Tx, rows: &[AuditRecord]) -> Result<(), Failure> {
    for piece in rows.chunks(PIECE) {
        let args = piece.iter().fold(Args::new(), |args, row| {
            args.text(row.category.as_str())
                .time(row.at)
                .maybe_key(row.session)
                .maybe_key(row.user)
                .maybe_key(row.account)
                .text(&row.event)
                .text(&row.detail)
        });
        let places = placeholders(piece.len(), COLUMNS);
        let sql = format!(
            "INSERT INTO tss_audit (category, at, session, user_key, account_key, event, detail)
            VALUES {places}"
        );
        tx.execute(sql, args).await?;
    }
    Ok(())
}

/// Rows to append, and what they make too old.
pub(super) struct Append(pub(super) Vec<AuditRecord>);

impl Transaction for Append {
    type Answer = ();

    async fn run(&self, tx: &mut Tx) -> Result<(), Failure> {
        write(tx, &self.0).await?;
        for category in CATEGORIES {
            let newest = self.0.iter().filter(|row| row.category == category).map(|row| row.at);
            let Some(newest) = newest.max() else { continue };
            let sql = "DELETE FROM tss_audit WHERE id IN (SELECT id FROM tss_audit
                WHERE category = $1 AND at < $2 ORDER BY at LIMIT 1000)";
            let args = Args::new().text(category.as_str()).time(newest - KEPT_FOR);
            tx.execute(sql, args).await?;
        }
        Ok(())
    }
}

/// Forgets rows beyond the count, by a bounded step; whether there may be more.
pub(super) async fn forget_surplus(database: &Database) -> Result<bool, Failure> {
    let mut is_more = false;
    for category in CATEGORIES {
        let sql = "DELETE FROM tss_audit WHERE id IN (SELECT id FROM tss_audit
            WHERE category = $1 AND (at, id) <= (SELECT at, id FROM tss_audit
                WHERE category = $1 ORDER BY at DESC, id DESC LIMIT 1 OFFSET $2)
            ORDER BY at, id LIMIT 2000)";
        let args = Args::new().text(category.as_str()).int(KEPT_ROWS);
        is_more |= database.execute(sql, args).await? >= 2000;
    }
    Ok(is_more)
}

impl Inner {
    pub(super) async fn append(&self, rows: Vec<AuditRecord>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let count = rows.len() as u64;
        self.commit(&Append(rows)).await?;
        let before = self.appended.fetch_add(count, Relaxed);
        if before / ROWS_A_LOOK != (before + count) / ROWS_A_LOOK {
            // The rows are written: that others could not be forgotten is no failure of theirs.
            drop(forget_surplus(&self.database).await);
        }
        Ok(())
    }

    pub(super) async fn log(
        &self,
        log: LogScope,
        query: ListQuery,
    ) -> Result<Page<AuditRecord>, StoreError> {
        let whose = match log.scope {
            Scope::User(_) => "AND user_key = $3",
            Scope::Account(_) => "AND account_key = $3",
            Scope::Everything(_) => "AND $3 = $3",
        };
        let mut args = Args::new()
            .text(log.category.as_str())
            .int(i64::from(query.limit()) + 1)
            .key(log.scope.key());
        let mut behind = "";
        if let Some(cursor) = query.cursor() {
            behind = "AND (at, id) < ($4, $5)";
            let id = i64::try_from(cursor.tie).unwrap_or(i64::MAX);
            args = args.time(Timestamp::from_millis(cursor.at)).int(id);
        }
        let sql = format!(
            "SELECT id, category, at, session, user_key, account_key, event, detail
            FROM tss_audit WHERE category = $1 {whose} {behind}
            ORDER BY at DESC, id DESC LIMIT $2"
        );
        let rows = self.database.fetch(sql, args).await?;
        let rows = rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let page = Page::new(rows, &query, |(id, row)| Cursor {
            at: row.at.as_millis(),
            tie: u128::try_from(*id).unwrap_or_default(),
        });
        let items = page.items.into_iter().map(|(_, row)| row).collect();
        Ok(Page { items, next: page.next })
    }
}

fn row(row: &Row) -> Result<(i64, AuditRecord), Failure> {
    let category = row.text(1)?.parse();
    let log = AuditRecord {
        category: category.map_err(|_| StoreError::new("a log row is of no known category"))?,
        at: row.time(2)?,
        session: row.maybe_key(3)?,
        user: row.maybe_key(4)?,
        account: row.maybe_key(5)?,
        event: row.text(6)?.into(),
        detail: row.text(7)?.into(),
    };
    Ok((row.int(0)?, log))
}
