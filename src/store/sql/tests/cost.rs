//! The cost of operations in statements.

use super::*;
use crate::policy::TimeoutOverrides;
use crate::store::{ListQuery, OverridesChange, SessionStore as _, StoredSession, TouchOutcome};

/// Returns how many statements `asked` sends, and its answer.
async fn cost<T>(store: &SqlStore, asked: impl Future<Output = Result<T, StoreError>>) -> (u64, T) {
    let before = store.statements();
    let answer = asked.await.expect("the store answers");
    (store.statements() - before, answer)
}

#[tokio::test]
async fn p24_a_hundred_concurrent_requests_cost_two_statements() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let before = store.statements();
        let requests = (0..100).map(|_| tokio::spawn(store.touch(key("s"), touch(NOW))));
        for request in requests.collect::<Vec<_>>() {
            let touched = request.await.expect("the task completes").expect("the store answers");
            assert!(matches!(touched, TouchOutcome::Active(_)));
        }
        assert_eq!(store.statements() - before, 2, "{store:?}");
        database.remove().await;
    }
}

#[tokio::test]
async fn p24_activity_is_written_once_per_touch_interval() {
    for database in TestDatabase::all().await {
        let (clock, other_clock) = (clock(), clock());
        let store = database.node(&clock).await;
        begin(&store, "s").await;
        let other = database.node(&other_clock).await;
        let mut seen = NOW;
        for (after, statements) in [(0, 0), (9_999, 0), (10_000, 1), (19_999, 0), (20_000, 1)] {
            let now = NOW + Duration::from_millis(after);
            let answer = cost(&store, store.touch(key("s"), touch(now))).await;
            assert_eq!(answer, (statements, TouchOutcome::Active(Some(seen))), "after {after} ms");
            seen = now;
        }
        assert_eq!(cost(&store, store.get(key("s"))).await, (0, StoredSession::Active(seen)));
        // Another node reads once, and does not write within the interval.
        let now = seen + Duration::from_secs(1);
        let answer = cost(&other, other.touch(key("s"), touch(now))).await;
        assert_eq!(answer, (1, TouchOutcome::Active(Some(seen))));
        assert_eq!(cost(&other, other.get(key("s"))).await, (0, StoredSession::Active(now)));
        database.remove().await;
    }
}

#[tokio::test]
async fn an_unwritten_activity_counts_to_the_millisecond() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        let last = NOW + INTERVAL - Duration::from_millis(1);
        store.touch(key("s"), touch(last)).await.expect("the store answers");
        let late = last + IDLE;
        let in_time = late - Duration::from_millis(1);
        let touched = store.touch(key("s"), touch(late)).await;
        assert_eq!(touched.expect("the store answers"), TouchOutcome::Idle(last));
        let touched = store.touch(key("s"), touch(in_time)).await;
        assert_eq!(touched.expect("the store answers"), TouchOutcome::Active(Some(last)));
        database.remove().await;
    }
}

#[tokio::test]
async fn each_operation_costs_few_statements() {
    for database in TestDatabase::all().await {
        let is_postgres = database.schema.is_some();
        let lock = u64::from(is_postgres);
        let store = database.node(&clock()).await;
        let begun = store.begin(record("s"), audit("session_started"));
        assert_eq!(cost(&store, begun).await.0, 4 + lock, "begin");
        let query = query("s", "r1");
        assert_eq!(cost(&store, store.refresh_state(query)).await.0, 1, "refresh_state");
        let rotated = store.rotate(rotation("s", "r1", "r2"));
        assert_eq!(cost(&store, rotated).await.0, 2 + 2, "rotate");
        let refused = store.rotate(rotation("s", "r1", "r3"));
        assert_eq!(cost(&store, refused).await.0, 2 + 2, "rotate, refused");
        let adopt = Rotation { adopt: Some(record("old")), ..rotation("old", "r4", "r5") };
        assert_eq!(cost(&store, store.rotate(adopt)).await.0, 2 + 5 + lock, "rotate, adopting");
        let revoked = store.revoke(key("old"), NOW + DAY, audit("session_revoked"));
        assert_eq!(cost(&store, revoked).await, (2 + 5, true), "revoke");
        assert_eq!(cost(&store, store.write_tombstone(key("x"), NOW + DAY)).await.0, 2 + 3, "end");
        assert_eq!(
            cost(&store, store.write_tombstone(key("x"), NOW + DAY)).await.0,
            2 + 2,
            "end again"
        );
        let scope = Scope::User(scopes().user);
        let listed = store.sessions(scope, ListQuery::first(10), NOW);
        let (statements, page) = cost(&store, listed).await;
        assert_eq!((statements, page.items.len()), (1, 1), "sessions");
        assert_eq!(cost(&store, store.session(key("s"), NOW)).await.0, 1, "session");
        let account = scopes().account.expect("it exists");
        assert_eq!(
            cost(&store, store.active_users(account, 5, NOW).expect("it has a query")).await.0,
            1,
            "active_users"
        );
        let change = OverridesChange {
            account,
            old: TimeoutOverrides::default(),
            new: TimeoutOverrides { idle: Some(IDLE), absolute: None },
            audit: audit("policy_changed"),
        };
        assert_eq!(cost(&store, store.set_overrides(change)).await, (2 + 5 + 1, true), "change");
        assert_eq!(cost(&store, store.overrides(account)).await.0, 1, "overrides");
        let revoked = store.revoke_all(of_user(Exempt::None));
        assert_eq!(cost(&store, revoked).await, (2 + 5 + lock, 1), "revoke_all");
        let revoked = store.revoke_all(of_user(Exempt::None));
        assert_eq!(cost(&store, revoked).await, (2 + 5 + lock, 0), "revoke_all again");
        let records = vec![audit("a"); 100].into();
        assert_eq!(cost(&store, store.append_audit(records)).await.0, 2 + 2, "append");
        assert_eq!(cost(&store, store.audit_log(scope, ListQuery::first(100))).await.0, 1, "log");
        database.remove().await;
    }
}
