//! The audit log and the activity log in memory: the latest rows of each.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, StoreKey},
    store::{Cursor, ListQuery, Page},
    time::Timestamp,
};

/// How many rows a log keeps.
const MAX_ROWS: usize = 10_000;

/// How much older than the latest row of its log a row may be.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A row of a log.
pub(in crate::store::memory) trait LogRow: Clone {
    fn at(&self) -> Timestamp;
    fn user(&self) -> Option<StoreKey>;
    fn subject(&self) -> Option<StoreKey>;
    fn account(&self) -> Option<StoreKey>;
}

impl LogRow for AuditRecord {
    fn at(&self) -> Timestamp {
        self.at
    }

    fn user(&self) -> Option<StoreKey> {
        self.subject.user
    }

    fn subject(&self) -> Option<StoreKey> {
        self.subject.subject
    }

    fn account(&self) -> Option<StoreKey> {
        self.subject.account
    }
}

impl LogRow for ActivityEntry {
    fn at(&self) -> Timestamp {
        self.at
    }

    fn user(&self) -> Option<StoreKey> {
        Some(self.user)
    }

    fn subject(&self) -> Option<StoreKey> {
        self.subject
    }

    fn account(&self) -> Option<StoreKey> {
        self.account
    }
}

/// A log, bounded by age and count; the oldest rows are removed first.
pub(in crate::store::memory) struct Log<R> {
    /// Rows by their instant, then in the order in which they were appended.
    rows: BTreeMap<(Timestamp, u64), R>,
    appended: u64,
}

impl<R> Default for Log<R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), appended: 0 }
    }
}

impl<R: LogRow> Log<R> {
    pub(in crate::store::memory) fn append(&mut self, row: R) {
        self.rows.insert((row.at(), self.appended), row);
        self.appended += 1;
        let latest = self.rows.last_key_value().map_or(Timestamp::EPOCH, |(&(at, _), _)| at);
        while let Some(oldest) = self.rows.first_entry() {
            if latest.since(oldest.key().0) <= MAX_AGE && self.rows.len() <= MAX_ROWS {
                break;
            }
            self.rows.pop_first();
        }
    }

    /// Returns a page of the rows of `scope`, the latest first. Looks at every row of the log at
    /// most.
    pub(in crate::store::memory) fn page(&self, scope: Scope, query: &ListQuery) -> Page<R> {
        let all = || self.rows.range(..);
        let rows = query.cursor().map_or_else(all, |cursor| self.rows.range(..position(cursor)));
        let rows = rows.rev().filter(|(_, row)| is_in(*row, scope));
        let rows = rows.take(query.limit() as usize + 1).collect();
        let page = Page::new(rows, query, |&(&(at, number), _)| {
            Cursor::new(at.as_millis(), number.into())
        });
        Page {
            items: page.items.into_iter().map(|(_, row): (_, &R)| row.clone()).collect(),
            next: page.next,
        }
    }
}

fn position(cursor: &Cursor) -> (Timestamp, u64) {
    (Timestamp::from_millis(cursor.at), u64::try_from(cursor.id).unwrap_or(u64::MAX))
}

fn is_in<R: LogRow>(row: &R, scope: Scope) -> bool {
    match scope {
        Scope::User(key) => row.user() == Some(key),
        Scope::Subject(key) => row.subject() == Some(key),
        Scope::Account(key) => row.account() == Some(key),
        Scope::Everything(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditEvent, AuditSubject};

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn row(at: Timestamp) -> AuditRecord {
        AuditRecord::new(at, AuditEvent::SessionStarted, AuditSubject::default())
    }

    #[test]
    fn p15_a_log_is_bounded_by_count_and_keeps_the_latest_rows() {
        let mut log = Log::default();
        for id in 0..MAX_ROWS as u64 + 10 {
            log.append(row(BEGIN + Duration::from_millis(id)));
        }
        assert_eq!(log.rows.len(), MAX_ROWS);
        let oldest = log.rows.first_key_value();
        assert_eq!(oldest.map(|(&(at, _), _)| at), Some(BEGIN + Duration::from_millis(10)));
    }

    #[test]
    fn p15_a_log_is_bounded_by_age() {
        let mut log = Log::default();
        log.append(row(BEGIN));
        log.append(row(BEGIN + 90 * DAY));
        assert_eq!(log.rows.len(), 2);
        log.append(row(BEGIN + 90 * DAY + Duration::from_millis(1)));
        assert_eq!(log.rows.len(), 2);
        log.append(row(BEGIN));
        assert_eq!(log.rows.len(), 2, "a row that is already too old is not kept");
    }
}
