//! What a log that is full loses.

use super::{super::logs, *};
use crate::{audit::ActivityEntry, rejection::RejectionKind, store::ListQuery};

const REFUSED: AuditEvent =
    AuditEvent::TokenRejected { code: RejectionKind::TokenExpired, cause: None };

fn record_of(account: Option<&str>, sub: &str, event: AuditEvent) -> AuditRecord {
    let subject = AuditSubject::from_session(key(sub), &Scopes::new(None, account, sub));
    AuditRecord::new(NOW, event, subject)
}

async fn count(store: &SqlStore, account: Option<&str>, sub: &str) -> usize {
    let user = Scope::User(Scopes::new(None, account, sub).user);
    let query = ListQuery::first(ListQuery::MAX_LIMIT);
    let audit = store.audit_log(user, query.clone()).await.expect("the store answers");
    let activity = store.activity_log(user, query).await.expect("the store answers");
    audit.items.len() + activity.items.len()
}

async fn cut(store: &SqlStore, max_rows: i64) {
    for log in logs::LOGS {
        let cut = logs::cut(&store.0.database, log, max_rows).await.map_err(StoreError::from);
        assert!(!cut.expect("the rows are removed"), "one step suffices");
    }
}

#[tokio::test]
async fn p31_p40_a_full_log_loses_the_rows_of_the_account_and_user_with_the_most() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let mut records = vec![record_of(Some("acme"), "mallory", AuditEvent::SessionStarted)];
        for (account, sub, rows) in
            [(Some("acme"), "ada", 3), (None, "joy", 4), (Some("acme"), "mallory", 150)]
        {
            records.extend(std::iter::repeat_n(record_of(account, sub, REFUSED), rows));
        }
        // No user of this account has many rows, and the account has.
        records
            .extend((0..60).map(|sub| record_of(Some("globex"), &format!("eve {sub}"), REFUSED)));
        store.append_audit(records.into()).await.expect("the store answers");
        cut(&store, 40).await;
        for (account, sub, rows) in
            [(Some("acme"), "ada", 3), (None, "joy", 4), (Some("acme"), "mallory", 1 + 15)]
        {
            assert_eq!(count(&store, account, sub).await, rows, "{sub} {store:?}");
        }
        cut(&store, 40).await;
        assert_eq!(count(&store, Some("acme"), "mallory").await, 1 + 15, "nothing is left to cut");
        database.remove().await;
    }
}

#[tokio::test]
async fn p31_nobody_displaces_the_activity_of_others() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let entry = |sub: &str| {
            let scopes = Scopes::new(None, Some("acme"), sub);
            let mut entry = ActivityEntry::new(NOW, key(sub), scopes.user, "GET", 200);
            entry.account = scopes.account;
            entry
        };
        let mut entries = vec![entry("ada"); 5];
        entries.extend(vec![entry("mallory"); 180]);
        store.append_activity(entries.into()).await.expect("the store answers");
        cut(&store, 30).await;
        assert_eq!(count(&store, Some("acme"), "ada").await, 5);
        assert_eq!(count(&store, Some("acme"), "mallory").await, 25);
        database.remove().await;
    }
}
