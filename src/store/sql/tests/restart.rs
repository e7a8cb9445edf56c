//! What outlasts the process.

use super::*;
use crate::{
    policy::TimeoutOverrides,
    store::{
        ListQuery, OverridesChange, RefreshedSession, Rotated, SessionStore as _, StoredSession,
        TokenState, TouchOutcome,
    },
};

#[tokio::test]
async fn p22_a_restart_revives_nothing_and_forgets_nothing() {
    for home in Home::all().await {
        let account = scopes().account.expect("there is one");
        let new = TimeoutOverrides { idle: None, absolute: Some(DAY) };
        {
            let store = home.node(&clock()).await;
            for sid in ["ended", "marked"] {
                begin(&store, sid).await;
            }
            let rotated = store.rotate(rotation("marked", "r1", "r2")).await;
            assert_eq!(rotated.expect("it answers"), Rotated::Done);
            store.write_tombstone(key("ended"), NOW + DAY).await.expect("it ends");
            assert_eq!(store.revoke_all(everywhere(Exempt::None)).await.expect("it answers"), 1);
            assert_eq!(begin(&store, "after").await, NOW + Duration::from_millis(1));
            let change = OverridesChange {
                account,
                old: TimeoutOverrides::default(),
                new,
                audit: audit("changed"),
            };
            assert!(store.set_overrides(change).await.expect("it is changed"));
            store.0.database.close().await;
        }
        let store = home.bare_node(&clock()).await;
        let ended = store.touch(key("ended"), touch(NOW)).await.expect("it answers");
        assert_eq!(ended, TouchOutcome::Ended);
        assert_eq!(store.get(key("ended")).await.expect("it answers"), StoredSession::Ended);
        let revocations = store.revocations().expect("there is one");
        assert!(revocations.revoked_by(key("marked"), NOW, scopes).is_some());
        assert_eq!(
            store.account_policies().expect("there is one").overrides(|| Some(account)),
            Some(new)
        );
        let state = store.refresh_state(query("marked", "r1")).await.expect("it answers");
        assert_eq!(state.session, RefreshedSession::Revoked);
        assert!(matches!(state.token, TokenState::Used { successor: Some(_), .. }));
        let scope = Scope::User(scopes().user);
        let page = store.sessions(scope, ListQuery::first(10), NOW).await.expect("it answers");
        assert_eq!(page.items.iter().map(|it| &*it.sid).collect::<Vec<_>>(), ["after"]);
        let rows = store.audit_log(scope, ListQuery::first(10)).await.expect("it answers").items;
        let events: Vec<_> = rows.iter().map(|record| record.event.name()).collect();
        let begun = "session_started";
        assert_eq!(events, ["changed", begun, "sessions_revoked_bulk", begun, begun]);
        home.leave().await;
    }
}

#[tokio::test]
async fn p15_what_is_over_is_forgotten_and_nothing_else() {
    for home in Home::all().await {
        let store = home.node(&clock()).await;
        begin(&store, "s").await;
        store.rotate(rotation("s", "r1", "r2")).await.expect("it answers");
        store.write_tombstone(key("ended"), NOW + DAY).await.expect("it ends");
        store.touch(key("touched"), touch(NOW)).await.expect("it answers");
        store.revoke_all(everywhere(Exempt::User(scopes().user))).await.expect("it answers");
        let count = async |table: &str| {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            let rows = store.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
            let count = rows.expect("it answers")[0].count(0).map_err(StoreError::from);
            count.expect("it is a number")
        };
        let counts = async || {
            let tables = ["tss_sessions", "tss_used_tokens", "tss_revocations"];
            [count(tables[0]).await, count(tables[1]).await, count(tables[2]).await]
        };
        let grace = super::super::cleanup::GRACE;
        store.0.clean(NOW + IDLE + grace).await.expect("it is cleaned");
        assert_eq!(counts().await, [3, 1, 1]);
        let after = Duration::from_millis(1);
        store.0.clean(NOW + IDLE + grace + after).await.expect("it is cleaned");
        assert_eq!(counts().await, [2, 1, 1], "the one that was only touched");
        store.0.clean(NOW + DAY + grace).await.expect("it is cleaned");
        assert_eq!(counts().await, [2, 1, 1]);
        store.0.clean(NOW + DAY + grace + after).await.expect("it is cleaned");
        assert_eq!(counts().await, [0, 0, 0]);
        assert_eq!(count("tss_changes").await, 0);
        home.leave().await;
    }
}
