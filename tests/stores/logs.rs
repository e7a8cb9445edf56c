//! The rows of the logs.

use tower_sliding_session::{
    audit::{AuditRecord, LogCategory},
    identity::Scope,
    store::{ListQuery, LogScope, Page},
};

use crate::{
    empty_stores::Store,
    sign_in::{ADA, BEGIN, BOB, EVE, JOY, Person, after, everything, row},
};

async fn append(store: &Store, rows: &[AuditRecord]) {
    store.append(rows.to_vec()).await.expect("the store answers");
}

fn about(person: Person, event: &str, millis: u64) -> AuditRecord {
    row(&person.signs_in(person.sub, BEGIN), event, after(millis))
}

async fn page(
    store: &Store,
    category: LogCategory,
    scope: Scope,
    query: ListQuery,
) -> Page<AuditRecord> {
    store.log(LogScope { category, scope }, query).await.expect("the store answers")
}

async fn events(store: &Store, category: LogCategory, scope: Scope) -> Vec<String> {
    let page = page(store, category, scope, ListQuery::first(100)).await;
    page.items.into_iter().map(|row| row.event.into_owned()).collect()
}

pub(crate) async fn rows_are_returned_as_written_latest_first(store: Store) {
    let anonymous = AuditRecord { session: None, user: None, ..about(JOY, "anonymous", 30) };
    let detailed = AuditRecord {
        detail: r#"{"class":"user","status":200,"route":"/documents/{id}"}"#.into(),
        ..about(ADA, "detailed", 10)
    };
    let rows = [detailed, about(BOB, "middle", 20), anonymous];
    append(&store, &[rows[1].clone(), rows[2].clone()]).await;
    append(&store, &rows[..1]).await;
    let page = page(&store, LogCategory::Security, everything(), ListQuery::first(100)).await;
    let [first, second, third] = rows;
    assert!(page.items == [third, second, first]);
    assert_eq!(page.next, None);
}

pub(crate) async fn a_log_has_the_rows_of_its_category_and_scope(store: Store) {
    let activity = |person, event, millis| AuditRecord {
        category: LogCategory::Activity,
        ..about(person, event, millis)
    };
    let rows = [
        about(ADA, "ada 1", 10),
        activity(ADA, "ada 2", 20),
        about(BOB, "bob 3", 30),
        about(EVE, "eve 4", 40),
        activity(JOY, "joy 5", 50),
        about(ADA, "ada 6", 60),
    ];
    append(&store, &rows).await;
    let security = LogCategory::Security;
    assert_eq!(events(&store, security, ADA.user()).await, ["ada 6", "ada 1"]);
    assert_eq!(events(&store, security, ADA.account()).await, ["ada 6", "bob 3", "ada 1"]);
    let all = ["ada 6", "eve 4", "bob 3", "ada 1"];
    assert_eq!(events(&store, security, everything()).await, all);
    assert!(events(&store, security, JOY.user()).await.is_empty());
    let activity = LogCategory::Activity;
    assert_eq!(events(&store, activity, ADA.user()).await, ["ada 2"]);
    assert_eq!(events(&store, activity, ADA.account()).await, ["ada 2"]);
    assert_eq!(events(&store, activity, everything()).await, ["joy 5", "ada 2"]);
}

pub(crate) async fn pages_of_a_log_hold_each_row_once(store: Store) {
    let mut expected = Vec::new();
    for id in 0..30_u64 {
        let person = if id % 3 == 0 { BOB } else { ADA };
        let row = about(person, &format!("event {id}"), id * 7 % 4);
        append(&store, std::slice::from_ref(&row)).await;
        expected.push(row);
    }
    for (scope, count) in [(ADA.user(), 20), (BOB.user(), 10), (ADA.account(), 30)] {
        for limit in [1, 3, 10, 20, 100] {
            let (mut all, mut query) = (Vec::new(), ListQuery::first(limit));
            loop {
                let page = page(&store, LogCategory::Security, scope, query).await;
                assert!(page.items.len() <= limit as usize);
                all.extend(page.items);
                let Some(next) = page.next else { break };
                query = ListQuery::first(limit).after(next);
            }
            assert!(all.is_sorted_by(|one, next| one.at >= next.at), "by {limit}");
            let each_once = expected.iter().filter(|row| all.contains(row)).count();
            assert_eq!((all.len(), each_once), (count, count), "by {limit}");
        }
    }
}

pub(crate) async fn appending_no_rows_changes_nothing(store: Store) {
    append(&store, &[]).await;
    assert!(events(&store, LogCategory::Security, everything()).await.is_empty());
}
