//! The load of one user leaves others served.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::*;
use crate::store::{
    ListQuery, Rotated, SessionStore as _, StoredSession, TouchOutcome, sql::pools::Purpose,
};

/// How many calls the one user has waiting.
const CALLS: usize = 64;

/// A store in which a statement waits for a lock as long as it takes.
async fn patient_store(database: &TestDatabase) -> SqlStore {
    drop(database.node(&clock()).await);
    let address = format!("{}&options[statement_timeout]=0", database.address);
    let store = SqlStore::at(address).clock(clock()).sync_interval(SYNC).pool_size(1);
    store.connect().await.expect("the database is reachable")
}

/// A transaction that holds what `statement` locks, until it is dropped.
async fn holding(database: &TestDatabase, statement: &str) -> PgConnection {
    let mut other = PgConnection::connect(&database.address).await.expect("it is reachable");
    let sql = format!("BEGIN; {statement}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut other).await.expect("nobody holds it");
    other
}

/// Every call of another user, of another account, but those that `is_blocked` for everybody.
async fn another_user_is_served(store: &SqlStore, name: &str, signs: bool) {
    let scopes = Scopes::new(None, Some("globex"), name);
    let record = SessionRecord { sub: name.to_owned(), scopes, ..record(name) };
    let query = RefreshQuery { scopes, ..query(name) };
    if signs {
        store
            .begin(SignIn::new(record, audit("session_started")))
            .await
            .expect("the session begins");
        store.refresh_state(query).await.expect("the store answers");
        let rotation = Rotation { query, ..rotation(name, 0, "first") };
        let rotated = store.rotate(rotation).await.expect("the store answers");
        assert_eq!(rotated, Rotated::Done);
    } else {
        let stored = store.get(keys("unknown")).await.expect("the store answers");
        assert_eq!(stored, StoredSession::Unknown);
    }
    let requested = format!("{name}-requested");
    let touched = store.touch(keys(&requested), touch(NOW)).await.expect("the store answers");
    assert_eq!(touched, TouchOutcome::Active(None));
    store.0.sync().await.expect("the node syncs");
    let scope = Scope::User(scopes.user);
    let listed = store.sessions(scope, ListQuery::first(9), NOW).await;
    assert_eq!(listed.expect("the store answers").items.len(), usize::from(signs));
    store.audit_log(scope, ListQuery::first(9)).await.expect("the store answers");
    store.overrides(scopes.account.expect("it exists")).await.expect("the store answers");
}

/// Starts the calls of one user, which `lock` blocks; `served` tries others meanwhile.
async fn others_are_served<T: Send + Unpin + 'static>(
    lock: &str,
    call: impl Fn(&SqlStore, usize) -> crate::maybe_ready::MaybeReady<T>,
    served: impl AsyncFn(&SqlStore),
) {
    for database in TestDatabase::all().await {
        if database.schema.is_none() {
            continue;
        }
        let store = patient_store(&database).await;
        for number in 0..CALLS {
            begin(&store, &number.to_string()).await;
        }
        let lock = holding(&database, lock).await;
        let calls: Vec<_> = (0..CALLS).map(|number| tokio::spawn(call(&store, number))).collect();
        // Each call has taken what it gets before it waits.
        for _ in 0..CALLS {
            tokio::task::yield_now().await;
        }
        served(&store).await;
        assert!(calls.iter().all(|call| !call.is_finished()), "they still wait for the lock");
        lock.close().await.expect("the connection closes");
        for call in calls {
            call.await.expect("the task completes").expect("the store answers");
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p31_lists_of_one_user_leave_others_served() {
    let scope = Scope::User(scopes().user);
    others_are_served(
        "LOCK TABLE tss_activity",
        |store, _| store.activity_log(scope, ListQuery::first(200)),
        async |store| {
            another_user_is_served(store, "bob", true).await;
            // The same user, but for lists.
            begin(store, "again").await;
            store
                .revoke(tombstone(key("again"), NOW + DAY), audit("revoked"))
                .await
                .expect("it answers");
        },
    )
    .await;
}

#[tokio::test]
async fn p31_refreshes_of_one_user_leave_others_served() {
    others_are_served(
        "SELECT 1 FROM tss_sessions FOR UPDATE",
        |store, number| {
            let sid = number.to_string();
            store.rotate(rotation(&sid, 0, "first"))
        },
        async |store| {
            another_user_is_served(store, "bob", true).await;
            store
                .write_tombstone(tombstone(key("unknown"), NOW + DAY))
                .await
                .expect("the store answers");
        },
    )
    .await;
}

#[tokio::test]
async fn p31_sign_ins_of_one_user_leave_others_served() {
    // The key of one that begins is taken.
    others_are_served(
        "LOCK TABLE tss_audit IN SHARE MODE",
        |store, number| {
            store.begin(SignIn::new(record(&format!("new{number}")), audit("session_started")))
        },
        async |store| another_user_is_served(store, "bob", false).await,
    )
    .await;
}

#[tokio::test]
async fn p31_sign_outs_of_one_user_leave_those_of_others() {
    others_are_served(
        "SELECT 1 FROM tss_sessions FOR UPDATE",
        |store, number| {
            store.revoke(tombstone(key(&number.to_string()), NOW + DAY), audit("revoked"))
        },
        async |store| {
            another_user_is_served(store, "bob", true).await;
            let bob = Scopes::new(None, Some("globex"), "bob").user;
            for sid in ["bob", "unknown"] {
                let tombstone = tombstone(key(sid), NOW + DAY).of_user(bob, None);
                store.revoke(tombstone, audit("revoked")).await.expect("the store answers");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn p31_sign_outs_leave_others_served() {
    others_are_served(
        "LOCK TABLE tss_changes IN SHARE MODE",
        |store, number| store.write_tombstone(tombstone(key(&number.to_string()), NOW + DAY)),
        async |store| another_user_is_served(store, "bob", true).await,
    )
    .await;
}

/// A database of its own counts the connections.
#[tokio::test]
async fn a_pool_has_at_most_its_size() {
    let (base, name) = (postgres_server::url(), format!("tss_{}", uuid::Uuid::new_v4().simple()));
    run(base, format!("CREATE DATABASE {name}")).await;
    let (server, _) = base.rsplit_once('/').expect("an address names its database");
    let address = format!("{server}/{name}");
    // By this clock it does not listen, on one more connection.
    let migrated = SqlStore::at(&address).clock(clock()).connect().await;
    let migrated = migrated.expect("the database is reachable");
    migrated.migrate().await.expect("the migration succeeds");
    migrated.0.database.close().await;
    for (store, size) in [
        (SqlStore::at(&address), 10),
        (SqlStore::at(&address).pool_size(16), 16),
        (SqlStore::at(&address).pool_size(1), 5),
    ] {
        let store = store.clock(clock()).connect().await.expect("the database is reachable");
        let session = |number: usize| SessionRecord {
            scopes: Scopes::new(None, None, &number.to_string()),
            ..record(&format!("{size}-{number}"))
        };
        let begun = (0..CALLS)
            .map(|n| tokio::spawn(store.begin(SignIn::new(session(n), audit("started")))));
        // Requests that read their sessions share one connection: these do not.
        let read = (0..CALLS).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let read = store.0.database.fetch("SELECT seq FROM tss_change_seq", Args::new());
                read.await.map(drop).map_err(StoreError::from)
            })
        });
        let (begun, read): (Vec<_>, Vec<_>) = (begun.collect(), read.collect());
        for task in begun {
            task.await.expect("the task completes").expect("the session begins");
        }
        for task in read {
            task.await.expect("the task completes").expect("the store answers");
        }
        let sql = format!("SELECT COUNT(*) FROM pg_stat_activity WHERE datname = '{name}'");
        let rows = store.0.database.fetch(sql, Args::new()).await.map_err(StoreError::from);
        let count = rows.expect("the store answers")[0].count(0).map_err(StoreError::from);
        assert_eq!(count.expect("it is a count"), size);
        store.0.database.close().await;
    }
    run(base, format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

#[tokio::test]
async fn a_statement_has_a_time_limit() {
    for database in TestDatabase::all().await {
        if database.schema.is_none() {
            continue;
        }
        let own = format!("{}&options[statement_timeout]=77", database.address);
        for (address, limit) in [(&database.address, "5s"), (&own, "77ms")] {
            let store = SqlStore::connect(address).await.expect("the database is reachable");
            for purpose in [Purpose::Request, Purpose::Lifecycle, Purpose::List] {
                let sql = "SELECT current_setting('statement_timeout'),
                    current_setting('idle_in_transaction_session_timeout')";
                let rows = store.0.database.fetch_for(purpose, sql, Args::new()).await;
                let rows = rows.map_err(StoreError::from).expect("the store answers");
                let text = |at| rows[0].text(at).map_err(StoreError::from).expect("it is a text");
                assert_eq!((text(0).as_str(), text(1).as_str()), (limit, "5s"));
            }
        }
        database.remove().await;
    }
}

/// Each waits for a connection as long as it may, and no server is lost.
#[tokio::test]
async fn p39_sign_ins_that_get_no_connection_leave_requests_served() {
    for database in TestDatabase::all().await {
        if database.schema.is_none() {
            continue;
        }
        let store = patient_store(&database).await;
        let lock = holding(&database, "LOCK TABLE tss_sessions IN SHARE MODE").await;
        let sign_in = |number: usize| {
            let name = number.to_string();
            let scopes = Scopes::new(None, None, &name);
            let record = SessionRecord { scopes, ..record(&name) };
            tokio::spawn(store.begin(SignIn::new(record, audit("session_started"))))
        };
        let sign_ins: Vec<_> = (0..CALLS).map(sign_in).collect();
        let has_failed = || sign_ins.iter().filter(|sign_in| sign_in.is_finished()).count() > 9;
        let mut number = 0;
        while !has_failed() {
            // One that the node has not read.
            let stored = store.get(keys(&format!("unknown {number}"))).await;
            assert_eq!(stored.expect("the store answers"), StoredSession::Unknown);
            number += 1;
        }
        let stored = store.get(keys("unknown")).await;
        assert_eq!(stored.expect("the store answers"), StoredSession::Unknown);
        assert!(sign_ins.iter().any(|sign_in| !sign_in.is_finished()), "some wait for the lock");
        lock.close().await.expect("the connection closes");
        let mut begun = 0;
        for sign_in in sign_ins {
            match sign_in.await.expect("the task completes") {
                Ok(_) => begun += 1,
                Err(error) => assert!(format!("{error:?}").contains("no connection"), "{error:?}"),
            }
        }
        assert!(begun > 0);
        database.remove().await;
    }
}
