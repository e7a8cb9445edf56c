//! The audit log and the activity log in memory: the latest rows of each.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    time::Duration,
};

use crate::{
    audit::{ActivityEntry, AuditRecord},
    identity::{Scope, StoreKey},
    store::{Cursor, ListQuery, Page},
    time::Timestamp,
};

/// How many rows of each class a log keeps; up to [`SURPLUS`] more between two removals.
const MAX_ROWS: usize = 10_000;

/// How many rows are removed at once.
const SURPLUS: usize = MAX_ROWS / 16;

/// How much older than the latest row of its log a row may be.
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// A row of a log.
pub(in crate::store::memory) trait LogRow: Clone {
    fn at(&self) -> Timestamp;
    fn user(&self) -> Option<StoreKey>;
    fn subject(&self) -> Option<StoreKey>;
    fn account(&self) -> Option<StoreKey>;
    /// Rows that a client can repeat are a class of their own: they displace no others.
    fn is_repeatable(&self) -> bool;
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

    fn is_repeatable(&self) -> bool {
        self.event.is_repeatable()
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

    fn is_repeatable(&self) -> bool {
        true
    }
}

/// The instant of a row, and its number in the order in which rows were appended.
type Position = (Timestamp, u64);

/// A log, bounded by age and by the count of each class. A class with too many rows loses the
/// oldest ones of the account with the most rows, and in it of the user with the most rows (P31).
pub(in crate::store::memory) struct Log<R> {
    rows: BTreeMap<Position, R>,
    /// The rows of each user, each subject and each account.
    scopes: HashMap<StoreKey, BTreeSet<Position>>,
    repeatable: usize,
    appended: u64,
}

impl<R> Default for Log<R> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), scopes: HashMap::new(), repeatable: 0, appended: 0 }
    }
}

impl<R: LogRow> Log<R> {
    pub(in crate::store::memory) fn append(&mut self, row: R) {
        let position = (row.at(), self.appended);
        let is_repeatable = row.is_repeatable();
        for scope in scopes(&row) {
            self.scopes.entry(scope).or_default().insert(position);
        }
        self.rows.insert(position, row);
        self.repeatable += usize::from(is_repeatable);
        self.appended += 1;
        let latest = self.rows.last_key_value().map_or(Timestamp::EPOCH, |(&(at, _), _)| at);
        while let Some((&oldest, _)) = self.rows.first_key_value()
            && latest.since(oldest.0) > MAX_AGE
        {
            self.remove(oldest);
        }
        let count = if is_repeatable { self.repeatable } else { self.rows.len() - self.repeatable };
        if count > MAX_ROWS + SURPLUS {
            self.remove_surplus(is_repeatable, count - MAX_ROWS);
        }
    }

    /// Returns a page of the rows of `scope`, the latest first. Looks at no other rows.
    pub(in crate::store::memory) fn page(&self, scope: Scope, query: &ListQuery) -> Page<R> {
        let end = query.cursor().map_or(Bound::Unbounded, |cursor| Bound::Excluded(at(cursor)));
        let range = (Bound::Unbounded, end);
        let count = query.limit() as usize + 1;
        let rows: Vec<(Position, &R)> = match scope {
            Scope::User(key) | Scope::Subject(key) | Scope::Account(key) => {
                let positions = self.scopes.get(&key).into_iter();
                let positions = positions.flat_map(|positions| positions.range(range).rev());
                let row = |position: &Position| Some((*position, self.rows.get(position)?));
                positions.take(count).filter_map(row).collect()
            }
            Scope::Everything(_) => {
                let rows = self.rows.range(range).rev().take(count);
                rows.map(|(position, row)| (*position, row)).collect()
            }
        };
        let page =
            Page::new(rows, query, |&((at, number), _)| Cursor::new(at.as_millis(), number.into()));
        Page {
            items: page.items.into_iter().map(|(_, row): (_, &R)| row.clone()).collect(),
            next: page.next,
        }
    }

    fn remove(&mut self, position: Position) {
        let Some(row) = self.rows.remove(&position) else { return };
        self.repeatable -= usize::from(row.is_repeatable());
        for scope in scopes(&row) {
            if let Some(positions) = self.scopes.get_mut(&scope) {
                positions.remove(&position);
                if positions.is_empty() {
                    self.scopes.remove(&scope);
                }
            }
        }
    }

    /// Removes `surplus` rows of a class.
    fn remove_surplus(&mut self, is_repeatable: bool, surplus: usize) {
        let rows = self.rows.iter().rev().filter(|(_, row)| row.is_repeatable() == is_repeatable);
        let mut newer_of_user = HashMap::<_, usize>::new();
        let mut rows: Vec<_> = rows
            .map(|(position, row)| {
                let (user, account) = (row.user().or_else(|| row.subject()), row.account());
                let newer = newer_of_user.entry((account, user)).or_default();
                *newer += 1;
                (*newer, Reverse(*position), account.or(user))
            })
            .collect();
        rows.sort_unstable_by_key(|&(newer, position, _)| (newer, position));
        // How many rows of the same account are kept before this one.
        let mut kept_of_account = HashMap::<_, usize>::new();
        let mut removed: Vec<_> = rows
            .into_iter()
            .map(|(_, position, account)| {
                let kept = kept_of_account.entry(account).or_default();
                *kept += 1;
                (Reverse(*kept), position.0)
            })
            .collect();
        removed.sort_unstable();
        for (_, position) in removed.into_iter().take(surplus) {
            self.remove(position);
        }
    }
}

fn at(cursor: &Cursor) -> Position {
    (Timestamp::from_millis(cursor.at), u64::try_from(cursor.id).unwrap_or(u64::MAX))
}

fn scopes<R: LogRow>(row: &R) -> impl Iterator<Item = StoreKey> + use<R> {
    [row.user(), row.subject(), row.account()].into_iter().flatten()
}

#[cfg(test)]
mod tests;
