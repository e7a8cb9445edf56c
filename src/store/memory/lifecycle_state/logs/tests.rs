use std::cell::Cell;

use super::*;
use crate::{
    audit::{AuditEvent, AuditSubject},
    identity::Scopes,
    rejection::RejectionKind,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const BEGIN: Timestamp = Timestamp::from_secs(1_800_000_000);
const REFUSED: AuditEvent =
    AuditEvent::TokenRejected { code: RejectionKind::TokenExpired, cause: None };

fn row(at: Timestamp) -> AuditRecord {
    AuditRecord::new(at, AuditEvent::SessionStarted, AuditSubject::default())
}

fn record_of(account: Option<&str>, sub: &str, event: AuditEvent, millis: usize) -> AuditRecord {
    let scopes = Scopes::new(None, account, sub);
    let session = StoreKey::session(None, sub);
    let subject = AuditSubject::from_session(session, &scopes);
    AuditRecord::new(BEGIN + Duration::from_millis(millis as u64), event, subject)
}

fn count(log: &Log<AuditRecord>, account: Option<&str>, sub: &str) -> usize {
    let user = Scopes::new(None, account, sub).user;
    log.scopes.get(&user).map_or(0, BTreeSet::len)
}

#[test]
fn p15_a_log_is_bounded_by_count_and_keeps_the_latest_rows() {
    let mut log = Log::default();
    for id in 0..(MAX_ROWS + SURPLUS + 1) as u64 {
        log.append(row(BEGIN + Duration::from_millis(id)));
    }
    assert_eq!(log.rows.len(), MAX_ROWS);
    let oldest = log.rows.first_key_value();
    let surplus = Duration::from_millis(SURPLUS as u64 + 1);
    assert_eq!(oldest.map(|(&(at, _), _)| at), Some(BEGIN + surplus));
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

#[test]
fn p15_a_row_that_is_removed_leaves_nothing() {
    let mut log = Log::default();
    log.append(record_of(Some("acme"), "ada", REFUSED, 0));
    log.append(row(BEGIN + 91 * DAY));
    assert_eq!((log.rows.len(), log.scopes.len(), log.repeatable), (1, 0, 0));
}

#[test]
fn p31_p40_refusals_and_renewals_displace_no_other_rows() {
    let mut log = Log::default();
    log.append(record_of(Some("acme"), "ada", AuditEvent::SessionStarted, 0));
    for id in 0..2 * MAX_ROWS {
        let event = if id % 2 == 0 { REFUSED } else { AuditEvent::SessionRenewed };
        log.append(record_of(Some("acme"), "ada", event, id));
    }
    assert!(log.rows.len() <= MAX_ROWS + SURPLUS + 1);
    let first = log.rows.values().next().map(|row| row.event.clone());
    assert_eq!(first, Some(AuditEvent::SessionStarted));
}

#[test]
fn p31_p40_nobody_displaces_the_rows_of_another_account() {
    for event in [REFUSED, AuditEvent::SessionStarted] {
        let mut log = Log::default();
        for sub in 0..100 {
            log.append(record_of(Some("acme"), &sub.to_string(), event.clone(), sub));
        }
        log.append(record_of(None, "joy", event.clone(), 100));
        for id in 0..3 * MAX_ROWS {
            log.append(record_of(
                Some("evil"),
                &format!("eve {}", id % 300),
                event.clone(),
                200 + id,
            ));
        }
        assert!((0..100).all(|sub| count(&log, Some("acme"), &sub.to_string()) == 1));
        assert_eq!(count(&log, None, "joy"), 1);
        assert!(log.rows.len() <= MAX_ROWS + SURPLUS);
    }
}

#[test]
fn p31_p40_nobody_displaces_the_rows_of_another_user() {
    for account in [Some("acme"), None] {
        let mut log = Log::default();
        for id in 0..20 {
            log.append(record_of(account, "ada", REFUSED, id));
        }
        for id in 0..3 * MAX_ROWS {
            log.append(record_of(account, "mallory", REFUSED, 20 + id));
        }
        assert_eq!(count(&log, account, "ada"), 20, "{account:?}");
    }
}

/// A row that counts how often its owner is read.
#[derive(Clone)]
struct Watched<'a> {
    row: AuditRecord,
    looks: &'a Cell<usize>,
}

impl LogRow for Watched<'_> {
    fn at(&self) -> Timestamp {
        self.row.at
    }

    fn user(&self) -> Option<StoreKey> {
        self.looks.set(self.looks.get() + 1);
        self.row.subject.user
    }

    fn subject(&self) -> Option<StoreKey> {
        self.row.subject.subject
    }

    fn account(&self) -> Option<StoreKey> {
        self.row.subject.account
    }

    fn is_repeatable(&self) -> bool {
        false
    }
}

#[test]
fn p31_a_page_looks_at_the_rows_of_its_scope_only() {
    let looks = Cell::new(0);
    let mut log = Log::default();
    for id in 0..1_000 {
        let row = record_of(Some("acme"), "ada", AuditEvent::SessionStarted, id);
        log.append(Watched { row, looks: &looks });
    }
    looks.set(0);
    let bob = Scopes::new(None, Some("acme"), "bob").user;
    assert!(log.page(Scope::User(bob), &ListQuery::first(10)).items.is_empty());
    assert_eq!(looks.get(), 0);
}
