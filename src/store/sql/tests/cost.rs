//! The cost of operations in statements.

#[cfg(feature = "postgres")]
use sqlx::{Connection as _, PgConnection};

use super::*;
use crate::clock::Clock as _;
use crate::policy::TimeoutOverrides;
use crate::store::{
    ClaimsChange, ListQuery, OnSessionLimit, OverridesChange, SessionLimit, SessionStore as _,
    StoredSession, TouchOutcome, node,
};

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
        let requests = (0..100).map(|_| tokio::spawn(store.touch(keys("s"), touch(NOW))));
        for request in requests.collect::<Vec<_>>() {
            let touched = request.await.expect("the task completes").expect("the store answers");
            assert!(matches!(touched, TouchOutcome::Active(_)));
        }
        assert_eq!(store.statements() - before, 1, "one reads {store:?}");
        assert_eq!(cost(&store, store.flush()).await.0, 1, "one writes");
        database.remove().await;
    }
}

/// After a restart each user's first request reads its session.
#[tokio::test]
async fn p24_the_sessions_of_many_requests_are_read_by_few_statements() {
    for database in TestDatabase::all().await {
        {
            let store = database.node(&clock()).await;
            for sid in 0..50 {
                begin(&store, &sid.to_string()).await;
            }
        }
        let store = database.node(&clock()).await;
        store.write_tombstone(tombstone(key("ended"), NOW + DAY)).await.expect("the store answers");
        store.0.node_cache.invalidate();
        let before = store.statements();
        let requests = (0..60).map(|sid| store.touch(keys(&sid.to_string()), touch(NOW)));
        let requests: Vec<_> = requests.map(tokio::spawn).collect();
        for (sid, request) in requests.into_iter().enumerate() {
            let touched = request.await.expect("the task completes").expect("the store answers");
            let before = (sid < 50).then_some(NOW);
            assert_eq!(touched, TouchOutcome::Active(before), "{sid} {store:?}");
        }
        // The first is read alone; sessions that share a lock are read one after the other.
        assert!(store.statements() - before < 10, "{store:?}");
        database.remove().await;
    }
}

/// As on a database that was restored empty: a node writes back what it holds, and requests follow.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p24_no_statement_reads_a_whole_table_that_was_small_when_it_was_planned() {
    const SESSIONS: u32 = 3000;
    let database = TestDatabase::postgres().await;
    let (base, schema) = database.schema.clone().expect("it has one");
    let revoked = |number: u32| node::Change::Revoked {
        session: key(&number.to_string()),
        user: Some(StoreKey::user(None, None, &number.to_string())),
        until: NOW + DAY,
    };
    let changes: Vec<_> = (0..SESSIONS).map(revoked).collect();
    {
        let store = database.node(&clock()).await;
        let is_missing = store.0.write_changes_back(&changes, NOW).await;
        assert!(is_missing.expect("the store answers"));
        for sid in 0..100 {
            let stored = store.get(keys(&sid.to_string())).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Ended);
        }
        // The server counts at the end of a connection.
        store.0.database.close().await;
    }
    let mut server = PgConnection::connect(&base).await.expect("it is reachable");
    let count = "SELECT idx_scan, seq_tup_read FROM pg_stat_user_tables
        WHERE relname = 'tss_sessions' AND schemaname = $1";
    let counted = async {
        loop {
            let counts = sqlx::query_as::<_, (i64, i64)>(count).bind(&schema);
            let (by_index, all) = counts.fetch_one(&mut server).await.expect("it counts");
            if all > 0 || by_index >= i64::from(2 * SESSIONS + 100) {
                return all;
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(30), counted).await;
    assert_eq!(
        read.expect("every session is looked up, when it is written and when it is read"),
        0
    );
    database.remove().await;
}

/// A dead token must not cost more than another.
#[tokio::test]
async fn p24_requests_with_an_expired_token_cost_one_statement_a_second() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let store = database.node(&clock).await;
        begin(&store, "s").await;
        // Only the test syncs: the statements of the background task would count.
        store.0.task.get().expect("it exists").abort();
        clock.advance(IDLE);
        store.0.sync().await.expect("the store answers");
        for (session, outcome, stored) in [
            ("s", TouchOutcome::Idle(NOW), StoredSession::Active(NOW)),
            ("unknown", TouchOutcome::Idle(NOW), StoredSession::Unknown),
        ] {
            for second in 0..2 {
                let now = clock.now() + Duration::from_secs(second);
                let before = store.statements();
                for _ in 0..50 {
                    let touched = store.touch(keys(session), touch(now)).await;
                    assert_eq!(touched.expect("the store answers"), outcome);
                }
                assert_eq!(store.statements() - before, 1, "{session} {store:?}");
            }
            let before = store.statements();
            for _ in 0..50 {
                assert_eq!(store.get(keys(session)).await.expect("the store answers"), stored);
            }
            assert!(store.statements() - before <= 1, "{session} {store:?}");
        }
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
            let answer = cost(&store, store.touch(keys("s"), touch(now))).await;
            assert_eq!(answer, (0, TouchOutcome::Active(Some(seen))), "after {after} ms");
            let writes = cost(&store, node::activity::write_activities(&*store.0, now)).await.0;
            assert_eq!(writes, statements, "after {after} ms");
            seen = now;
        }
        assert_eq!(cost(&store, store.get(keys("s"))).await, (0, StoredSession::Active(seen)));
        // Another node reads once.
        let now = seen + Duration::from_secs(1);
        let answer = cost(&other, other.touch(keys("s"), touch(now))).await;
        assert_eq!(answer, (1, TouchOutcome::Active(Some(seen))));
        assert_eq!(cost(&other, other.get(keys("s"))).await, (0, StoredSession::Active(now)));
        database.remove().await;
    }
}

#[tokio::test]
async fn p24_the_activities_of_many_sessions_are_written_by_one_statement() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        for sid in ["s", "a", "b", "c"] {
            let touched = store.touch(keys(sid), touch(NOW + INTERVAL)).await;
            assert!(matches!(touched.expect("the store answers"), TouchOutcome::Active(_)));
        }
        store.write_tombstone(tombstone(key("c"), NOW + DAY)).await.expect("the store answers");
        assert_eq!(cost(&store, store.flush()).await.0, 1);
        let other = database.node(&clock()).await;
        for sid in ["s", "a", "b"] {
            let stored = other.get(keys(sid)).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Active(NOW + INTERVAL), "{sid}");
        }
        assert_eq!(other.get(keys("c")).await.expect("the store answers"), StoredSession::Ended);
        database.remove().await;
    }
}

#[tokio::test]
async fn an_unwritten_activity_counts_to_the_millisecond() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        let last = NOW + INTERVAL - Duration::from_millis(1);
        store.touch(keys("s"), touch(last)).await.expect("the store answers");
        let late = last + IDLE;
        let in_time = late - Duration::from_millis(1);
        let touched = store.touch(keys("s"), touch(late)).await;
        assert_eq!(touched.expect("the store answers"), TouchOutcome::Idle(last));
        let touched = store.touch(keys("s"), touch(in_time)).await;
        assert_eq!(touched.expect("the store answers"), TouchOutcome::Active(Some(last)));
        database.remove().await;
    }
}

#[tokio::test]
async fn each_operation_costs_few_statements() {
    for database in TestDatabase::all().await {
        let is_postgres = database.schema.is_some();
        // Postgres: a lock where others are excluded, and no sequence number.
        let (lock, seq) = if is_postgres { (1, 0) } else { (0, 1) };
        let store = database.node(&clock()).await;
        let begun = store.begin(SignIn::new(record("s"), audit("session_started")));
        assert_eq!(cost(&store, begun).await.0, 4 + lock, "begin");
        assert_eq!(cost(&store, store.refresh_state(query("s"))).await.0, 1, "refresh_state");
        let rotated = store.rotate(rotation("s", 0, "first"));
        assert_eq!(cost(&store, rotated).await.0, 1, "rotate");
        let refused = store.rotate(rotation("s", 0, "stolen"));
        assert_eq!(cost(&store, refused).await.0, 1, "rotate, refused");
        let other = database.node(&clock()).await;
        let refused = other.rotate(rotation("s", 0, "stolen"));
        assert_eq!(cost(&other, refused).await.0, 2, "rotate, refused by another node");
        let unknown = store.rotate(rotation("old", 0, "first"));
        assert_eq!(cost(&store, unknown).await.0, 3 + 3 + lock, "rotate, unknown");
        let revoked = store.revoke(tombstone(key("old"), NOW + DAY), audit("session_revoked"));
        assert_eq!(cost(&store, revoked).await, (if is_postgres { 1 } else { 6 }, true), "revoke");
        assert_eq!(
            cost(&store, store.write_tombstone(tombstone(key("x"), NOW + DAY))).await.0,
            if is_postgres { 1 } else { 2 + 3 },
            "end"
        );
        assert_eq!(
            cost(&store, store.write_tombstone(tombstone(key("x"), NOW + DAY))).await.0,
            if is_postgres { 2 } else { 2 + 3 },
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
        assert_eq!(
            cost(&store, store.set_overrides(change)).await,
            (2 + 4 + lock + seq, true),
            "change"
        );
        assert_eq!(cost(&store, store.overrides(account)).await.0, 1, "overrides");
        let revoked = store.revoke_all(of_user(Exempt::None));
        assert_eq!(cost(&store, revoked).await, (2 + 4 + lock + seq, 1), "revoke_all");
        let revoked = store.revoke_all(of_user(Exempt::None));
        assert_eq!(cost(&store, revoked).await, (2 + 4 + lock + seq, 0), "revoke_all again");
        let change = ClaimsChange::new(scope, NOW, NOW + DAY, audit("claims_changed"));
        assert_eq!(
            cost(&store, store.change_claims(change)).await,
            (2 + 4 + seq, NOW),
            "change_claims"
        );
        let records = vec![audit("a"); 100].into();
        assert_eq!(cost(&store, store.append_audit(records)).await.0, 2 + 2, "append");
        assert_eq!(cost(&store, store.audit_log(scope, ListQuery::first(100))).await.0, 1, "log");
        database.remove().await;
    }
}

#[tokio::test]
async fn a_limit_of_sessions_costs_a_statement_more_and_a_lock() {
    for database in TestDatabase::all().await {
        let lock = u64::from(database.schema.is_some());
        let store = database.node(&clock()).await;
        let limited = |sid| {
            let limit = Some(SessionLimit::new(2, OnSessionLimit::Oldest, DAY));
            store.begin(SignIn { limit, ..SignIn::new(record(sid), audit("session_started")) })
        };
        for sid in ["a", "b"] {
            assert_eq!(cost(&store, limited(sid)).await.0, 5 + 2 * lock, "{sid}");
        }
        // Counted, and again in the transaction that may end one: 3 + 3; ended: 4, and 3 where no
        // change has a sequence number; begun: 2.
        assert_eq!(cost(&store, limited("c")).await.0, 12 + 3 * lock, "ends one");
        database.remove().await;
    }
}
