//! The logs: the latest rows of each.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use crate::{
    audit::{AuditRecord, LogCategory},
    identity::Scope,
    store::{Cursor, ListQuery, LogScope, Page},
    time::Timestamp,
};

/// The most rows of one log.
const MOST_ROWS: usize = 10_000;

/// How much older than the latest row of its log a row may be.
const LONGEST_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// Bounded by age and count; the oldest rows go first.
#[derive(Default)]
pub(in crate::store::memory) struct Logs {
    logs: HashMap<LogCategory, Log>,
    appended: u64,
}

/// Rows by their instant, then in the order in which they came.
type Log = BTreeMap<(Timestamp, u64), AuditRecord>;

impl Logs {
    pub(in crate::store::memory) fn append(&mut self, row: AuditRecord) {
        let log = self.logs.entry(row.category).or_default();
        log.insert((row.at, self.appended), row);
        self.appended += 1;
        let latest = log.last_key_value().map_or(Timestamp::EPOCH, |(&(at, _), _)| at);
        while let Some(oldest) = log.first_entry() {
            if latest.since(oldest.key().0) <= LONGEST_AGE && log.len() <= MOST_ROWS {
                break;
            }
            log.pop_first();
        }
    }

    /// Looks at no more rows than one log has.
    pub(in crate::store::memory) fn page(
        &self,
        of: LogScope,
        query: &ListQuery,
    ) -> Page<AuditRecord> {
        let Some(log) = self.logs.get(&of.category) else {
            return Page { items: Vec::new(), next: None };
        };
        let all = || log.range(..);
        let rows = query.cursor().map_or_else(all, |cursor| log.range(..place(cursor)));
        let rows = rows.rev().filter(|(_, row)| is_of(row, of.scope));
        let rows = rows.take(query.limit() as usize + 1).collect();
        let page = Page::new(rows, query, |&(&(at, number), _)| Cursor {
            at: at.as_millis(),
            tie: number.into(),
        });
        Page {
            items: page.items.into_iter().map(|(_, row)| row.clone()).collect(),
            next: page.next,
        }
    }
}

fn place(cursor: &Cursor) -> (Timestamp, u64) {
    (Timestamp::from_millis(cursor.at), u64::try_from(cursor.tie).unwrap_or(u64::MAX))
}

fn is_of(row: &AuditRecord, scope: Scope) -> bool {
    match scope {
        Scope::User(key) => row.user == Some(key),
        Scope::Account(key) => row.account == Some(key),
        Scope::Everything(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);
    const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn row(at: Timestamp) -> AuditRecord {
        AuditRecord {
            at,
            category: LogCategory::Security,
            session: None,
            user: None,
            account: None,
            event: "session_started".into(),
            detail: "{}".into(),
        }
    }

    fn kept(logs: &Logs) -> usize {
        logs.logs.values().map(BTreeMap::len).sum()
    }

    #[test]
    fn p15_a_log_is_bounded_by_count_and_keeps_the_latest() {
        let mut logs = Logs::default();
        for id in 0..MOST_ROWS as u64 + 10 {
            logs.append(row(BEGIN + Duration::from_millis(id)));
        }
        assert_eq!(kept(&logs), MOST_ROWS);
        let oldest = logs.logs[&LogCategory::Security].first_key_value();
        assert_eq!(oldest.map(|(&(at, _), _)| at), Some(BEGIN + Duration::from_millis(10)));
        logs.append(AuditRecord { category: LogCategory::Activity, ..row(BEGIN) });
        assert_eq!(kept(&logs), MOST_ROWS + 1, "each log has its own bound");
    }

    #[test]
    fn p15_a_log_is_bounded_by_age() {
        let mut logs = Logs::default();
        logs.append(row(BEGIN));
        logs.append(row(BEGIN + 90 * DAY));
        assert_eq!(kept(&logs), 2);
        logs.append(row(BEGIN + 90 * DAY + Duration::from_millis(1)));
        assert_eq!(kept(&logs), 2);
        logs.append(row(BEGIN));
        assert_eq!(kept(&logs), 2, "a row that comes too late is not kept");
    }
}
