//! The audit log and the activity log.

use crate::{
    audit::{ActivityEntry, AuditActor, AuditEvent, AuditRecord},
    identity::{CutoffScope, Scope},
    store::{
        ListQuery, Page,
        conformance::sign_in::{
            ADA, ADA_AT_GLOBEX, BEGIN, BOB, EVE, JOY, Person, Store, after, audit, everything,
            session,
        },
    },
};

async fn append(store: &Store, records: &[AuditRecord]) {
    store.append_audit(records.into()).await.expect("the store answers");
}

fn about(person: Person, event: &str, millis: u64) -> AuditRecord {
    audit(&person.signs_in(person.sub, BEGIN), event, after(millis))
}

fn entry(person: Person, millis: u64) -> ActivityEntry {
    let scopes = person.scopes();
    let mut entry = ActivityEntry::new(after(millis), session(person.sub), scopes.user, "GET", 200);
    (entry.subject, entry.account) = (Some(scopes.subject), scopes.account);
    entry
}

async fn page(store: &Store, scope: Scope, query: ListQuery) -> Page<AuditRecord> {
    store.audit_log(scope, query).await.expect("the store answers")
}

async fn events(store: &Store, scope: Scope) -> Vec<String> {
    let page = page(store, scope, ListQuery::first(100)).await;
    page.items.into_iter().map(|record| record.event.name().to_owned()).collect()
}

async fn activities(store: &Store, scope: Scope) -> Vec<ActivityEntry> {
    let page = store.activity_log(scope, ListQuery::first(100)).await;
    page.expect("the store answers").items
}

pub(super) async fn records_are_returned_as_appended_the_latest_first(store: Store) {
    let mut anonymous = about(JOY, "session_moved", 30);
    (anonymous.subject.session, anonymous.subject.user) = (None, None);
    let mut detailed = about(ADA, "sessions_revoked_bulk", 10);
    detailed.event = AuditEvent::SessionsRevokedBulk { scope: CutoffScope::User, revoked_count: 3 };
    detailed.subject.sub = Some("ada".into());
    detailed.actor = Some(AuditActor::new(BOB.scopes().user).with_sub(Some("bob".into())));
    let records = [detailed, about(BOB, "session_ended", 20), anonymous];
    append(&store, &[records[1].clone(), records[2].clone()]).await;
    append(&store, &records[..1]).await;
    let page = page(&store, everything(), ListQuery::first(100)).await;
    let [first, second, third] = records;
    assert!(page.items == [third, second, first]);
    assert_eq!(page.next, None);
}

pub(super) async fn activity_entries_are_returned_as_appended_the_latest_first(store: Store) {
    let mut rejected = entry(ADA, 10);
    rejected.route = Some("/documents/{id}".into());
    rejected.method = "POST".into();
    (rejected.status, rejected.code) = (401, Some("session_revoked".into()));
    let entries = [rejected, entry(JOY, 20)];
    store.append_activity(entries.clone().into()).await.expect("the store answers");
    let [first, second] = entries;
    assert!(activities(&store, everything()).await == [second, first.clone()]);
    assert!(activities(&store, ADA.user()).await == [first]);
    assert!(activities(&store, BOB.account()).await.len() == 1);
    assert!(events(&store, everything()).await.is_empty(), "the audit log is another log");
}

pub(super) async fn a_log_returns_the_records_of_its_scope(store: Store) {
    let records = [
        about(ADA, "ada 1", 10),
        about(BOB, "bob 3", 30),
        about(EVE, "eve 4", 40),
        about(ADA, "ada 6", 60),
        about(ADA_AT_GLOBEX, "ada 7", 70),
    ];
    append(&store, &records).await;
    let entries = [entry(ADA, 20), entry(ADA_AT_GLOBEX, 25), entry(BOB, 30)];
    store.append_activity(entries.into()).await.expect("the store answers");
    assert_eq!(events(&store, ADA.user()).await, ["ada 6", "ada 1"]);
    assert_eq!(events(&store, ADA.subject()).await, ["ada 7", "ada 6", "ada 1"]);
    assert_eq!(activities(&store, ADA.subject()).await.len(), 2);
    assert_eq!(events(&store, ADA.account()).await, ["ada 6", "bob 3", "ada 1"]);
    assert_eq!(events(&store, everything()).await, ["ada 7", "ada 6", "eve 4", "bob 3", "ada 1"]);
    assert!(events(&store, JOY.user()).await.is_empty());
    assert_eq!(activities(&store, ADA.user()).await.len(), 1);
    assert!(activities(&store, EVE.user()).await.is_empty());
}

pub(super) async fn pages_of_a_log_contain_each_record_once(store: Store) {
    let mut expected = Vec::new();
    for id in 0..30_u64 {
        let person = if id % 3 == 0 { BOB } else { ADA };
        let record = about(person, &format!("event {id}"), id * 7 % 4);
        append(&store, std::slice::from_ref(&record)).await;
        expected.push(record);
    }
    for (scope, count) in [(ADA.user(), 20), (BOB.user(), 10), (ADA.account(), 30)] {
        for limit in [1, 3, 10, 20, 100] {
            let (mut all, mut query) = (Vec::new(), ListQuery::first(limit));
            loop {
                let page = page(&store, scope, query).await;
                assert!(page.items.len() <= limit as usize);
                all.extend(page.items);
                let Some(next) = page.next else { break };
                query = ListQuery::first(limit).after(next);
            }
            assert!(all.is_sorted_by(|one, next| one.at >= next.at), "by {limit}");
            let each_once = expected.iter().filter(|record| all.contains(record)).count();
            assert_eq!((all.len(), each_once), (count, count), "by {limit}");
        }
    }
}

pub(super) async fn appending_nothing_changes_nothing(store: Store) {
    append(&store, &[]).await;
    store.append_activity([].into()).await.expect("the store answers");
    assert!(events(&store, everything()).await.is_empty());
    assert!(activities(&store, everything()).await.is_empty());
}
