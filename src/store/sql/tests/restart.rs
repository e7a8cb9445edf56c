//! What is kept across a restart.

use super::*;
use crate::{
    policy::TimeoutOverrides,
    store::{
        ListQuery, OverridesChange, RefreshState, RefreshedSession, Rotated, SessionStore as _,
        StoredSession, TouchOutcome,
    },
};

#[tokio::test]
async fn p22_a_restart_loses_nothing() {
    for database in TestDatabase::all().await {
        let account = scopes().account.expect("it exists");
        let new = TimeoutOverrides { idle: None, absolute: Some(DAY) };
        {
            let store = database.node(&clock()).await;
            for sid in ["ended", "marked"] {
                begin(&store, sid).await;
            }
            let rotated = store.rotate(rotation("marked", 0, "first")).await;
            assert_eq!(rotated.expect("the store answers"), Rotated::Done);
            store
                .write_tombstone(tombstone(key("ended"), NOW + DAY))
                .await
                .expect("the task completes");
            assert_eq!(
                store.revoke_all(of_user(Exempt::None)).await.expect("the store answers"),
                1
            );
            let epoch = begin(&store, "after").await;
            assert_eq!(epoch, NOW + Duration::from_millis(1));
            let query = RefreshQuery { epoch, ..query("after") };
            let rotated = store.rotate(Rotation { query, ..rotation("after", 0, "first") }).await;
            assert_eq!(rotated.expect("the store answers"), Rotated::Done);
            let change = OverridesChange {
                account,
                old: TimeoutOverrides::default(),
                new,
                audit: audit("changed"),
            };
            assert!(store.set_overrides(change).await.expect("the policy is changed"));
            store.0.database.close().await;
        }
        let store = database.unmigrated_node(&clock()).await;
        let ended = store.touch(keys("ended"), touch(NOW)).await.expect("the store answers");
        assert_eq!(ended, TouchOutcome::Ended);
        assert_eq!(
            store.get(keys("ended")).await.expect("the store answers"),
            StoredSession::Ended
        );
        let revocations = store.revocations().expect("it exists");
        assert!(revocations.revoked_by(key("marked"), NOW, scopes).is_some());
        assert_eq!(
            store.account_policies().expect("it exists").overrides(|| Some(account)),
            Some(new)
        );
        let state = store.refresh_state(query("marked")).await.expect("the store answers");
        assert_eq!(state, RefreshState::Revoked);
        let after = RefreshQuery { epoch: NOW + Duration::from_millis(1), ..query("after") };
        let state = store.refresh_state(after).await.expect("the store answers");
        let expected = RefreshedSession::new(NOW).exchanged(1, exchange("first"));
        assert_eq!(state, RefreshState::Known(expected));
        let scope = Scope::User(scopes().user);
        let page =
            store.sessions(scope, ListQuery::first(10), NOW).await.expect("the store answers");
        assert_eq!(page.items.iter().map(|it| &*it.sid).collect::<Vec<_>>(), ["after"]);
        let rows =
            store.audit_log(scope, ListQuery::first(10)).await.expect("the store answers").items;
        let events: Vec<_> = rows.iter().map(|record| record.event.name()).collect();
        let begun = "session_started";
        assert_eq!(events, ["changed", begun, "sessions_revoked_bulk", begun, begun]);
        database.remove().await;
    }
}

#[tokio::test]
async fn p15_only_expired_rows_are_removed() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        store
            .write_tombstone(tombstone(key("ended"), NOW + DAY))
            .await
            .expect("the task completes");
        store.touch(keys("touched"), touch(NOW)).await.expect("the store answers");
        store.flush().await.expect("the activity is written");
        store.revoke_all(of_user(Exempt::User(scopes().user))).await.expect("the store answers");
        let count = async |table: &str| {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let rows = store.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
            let count = rows.expect("the store answers")[0].count(0).map_err(StoreError::from);
            count.expect("it is a count")
        };
        let counts = async || [count("tss_sessions").await, count("tss_revocations").await];
        let grace = GRACE;
        store.0.clean(NOW + IDLE + grace).await.expect("the cleanup succeeds");
        assert_eq!(counts().await, [3, 1]);
        let after = Duration::from_millis(1);
        store.0.clean(NOW + IDLE + grace + after).await.expect("the cleanup succeeds");
        assert_eq!(counts().await, [2, 1], "the row without a record is removed");
        store.0.clean(NOW + DAY + grace).await.expect("the cleanup succeeds");
        assert_eq!(counts().await, [2, 1]);
        store.0.clean(NOW + DAY + grace + after).await.expect("the cleanup succeeds");
        assert_eq!(counts().await, [0, 0]);
        assert_eq!(count("tss_changes").await, 0);
        database.remove().await;
    }
}
