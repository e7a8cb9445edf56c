//! What SQLite and Postgres have in common.

use std::error::Error as _;

use super::*;
use crate::audit::ActivityEntry;
use crate::store::{Cursor, ListQuery, Page, SessionStore as _};

#[tokio::test]
async fn p10_an_error_contains_no_address_and_no_value() {
    let nowhere = "postgres://admin:hunter2@127.0.0.1:1/secrets";
    let error = SqlStore::connect(nowhere).await.expect_err("nobody listens there");
    for database in TestDatabase::all().await {
        let store = database.unmigrated_node(&clock()).await;
        let missing =
            store.write_tombstone(tombstone(key("s"), NOW)).await.expect_err("there are no tables");
        for error in [&error, &missing] {
            let said = format!("{error} {error:?} {:?}", error.source());
            for secret in ["hunter2", "admin", "127.0.0.1", "secrets", "tss_", &database.address] {
                assert!(!said.contains(secret), "{said}");
            }
        }
        assert!(!format!("{store:?}").contains(&database.address));
        database.remove().await;
    }
}

#[tokio::test]
async fn a_sqlite_database_in_memory_is_an_error() {
    assert!(SqlStore::connect("sqlite::memory:").await.is_err());
}

#[cfg(all(feature = "sqlite", unix))]
#[tokio::test]
async fn a_new_sqlite_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    for database in TestDatabase::all().await {
        let _store = database.node(&clock()).await;
        if database.file.is_some() {
            for suffix in ["", "-wal", "-shm"] {
                let file = format!("{}{suffix}", database.address);
                let mode = std::fs::metadata(&file).expect("a file").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{file}");
            }
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn sessions_of_one_instant_are_paged_by_their_key() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let number = |id: u128| StoreKey::from_bytes(id.to_be_bytes());
        let ids = [0, 1, 255, 256, 1 << 127, u128::MAX];
        for id in ids {
            let record = SessionRecord { key: number(id), ..record(&id.to_string()) };
            store
                .begin(SignIn::new(record, audit("session_started")))
                .await
                .expect("the transaction begins");
        }
        let scope = Scope::Account(scopes().account.expect("it exists"));
        let mut listed = Vec::new();
        let mut query = ListQuery::first(4);
        loop {
            let Page { items, next } =
                store.sessions(scope, query, NOW).await.expect("the store answers");
            listed.extend(items.into_iter().map(|it| it.key));
            let Some(next) = next else { break };
            assert_eq!(next, Cursor::new(NOW.as_millis(), 255));
            query = ListQuery::first(4).after(next);
        }
        assert_eq!(listed, ids.map(number).into_iter().rev().collect::<Vec<_>>());
        database.remove().await;
    }
}

#[tokio::test]
async fn instants_that_never_come_are_stored() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let endless = SessionRecord {
            idle: Duration::from_millis(u64::MAX),
            ends_at: Timestamp::MAX,
            ..record("s")
        };
        let begun = store.begin(SignIn::new(endless.clone(), audit("session_started"))).await;
        assert_eq!(
            begun.expect("the transaction begins").begun().map(|begun| begun.epoch),
            Some(NOW)
        );
        let found = store.session(key("s"), NOW).await.expect("the store answers");
        assert_eq!(found, Some(endless));
        store
            .write_tombstone(tombstone(key("s"), Timestamp::MAX))
            .await
            .expect("the task completes");
        database.remove().await;
    }
}

#[tokio::test]
async fn a_log_is_read_by_scope_and_removes_old_rows() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let account = scopes().account.expect("it exists");
        let later = NOW + DAY * 90;
        let mut records = ["of_ada", "of_acme", "of_nobody"].map(audit);
        records[1].subject = AuditSubject::from_scope(Scope::Account(account));
        records[2].subject = AuditSubject::default();
        records[2].at = later;
        let entry = ActivityEntry::new(NOW, key("s"), scopes().user, "GET", 200);
        store.append_audit(records.into()).await.expect("the store answers");
        store.append_activity([entry.clone()].into()).await.expect("the store answers");
        let events = async |scope| {
            let mut query = ListQuery::first(1);
            let mut events = Vec::new();
            loop {
                let page = store.audit_log(scope, query).await.expect("the store answers");
                events.extend(page.items.iter().map(|record| record.event.name().to_owned()));
                let Some(next) = page.next else { return events };
                query = ListQuery::first(1).after(next);
            }
        };
        let everything = Scope::Everything(scopes().everything);
        assert_eq!(events(Scope::User(scopes().user)).await, ["of_ada"]);
        assert_eq!(events(Scope::Account(account)).await, ["of_acme"]);
        assert_eq!(events(everything).await, ["of_nobody", "of_acme", "of_ada"]);
        let newer = AuditRecord { at: later + Duration::from_millis(1), ..audit("newer") };
        store.append_audit([newer].into()).await.expect("the store answers");
        assert_eq!(events(everything).await, ["newer", "of_nobody"]);
        let activities = async || {
            let page = store.activity_log(everything, ListQuery::first(9)).await;
            page.expect("the store answers").items
        };
        assert_eq!(activities().await, std::slice::from_ref(&entry), "each log has its own age");
        let newer = ActivityEntry { at: later + Duration::from_millis(1), ..entry };
        store.append_activity([newer.clone()].into()).await.expect("the store answers");
        assert_eq!(activities().await, [newer]);
        database.remove().await;
    }
}
