//! Failover: the server at the other end of the open connections serves no more.

use std::{future::poll_fn, pin::Pin, task::Poll};

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{postgres_server::Server, primary_address::PrimaryAddress, *};
use crate::store::{ListQuery, Rotated, SessionStore as _, StoredSession, TouchOutcome};

pub(super) fn in_schema(url: &str, schema: &str) -> String {
    format!("{url}?options[search_path]={schema}")
}

pub(super) async fn connect(address: String, clock: &ManualClock) -> SqlStore {
    let store = SqlStore::at(address).clock(clock.clone()).sync_interval(SYNC);
    let store = store.connect().await.expect("the database is reachable");
    // Only the test syncs: the background task would race it.
    store.0.task.get().expect("it exists").abort();
    store
}

/// Opens all connections of the store's pools.
async fn fill_pools(store: &SqlStore) {
    let begun =
        |n: usize| store.begin(SignIn::new(record(&format!("fill{n}")), audit("session_started")));
    let begun: Vec<_> = (0..20).map(|n| tokio::spawn(begun(n))).collect();
    let read: Vec<_> = (0..20).map(|n| tokio::spawn(store.get(keys(&n.to_string())))).collect();
    for task in begun {
        task.await.expect("the task completes").expect("the session begins");
    }
    for task in read {
        task.await.expect("the task completes").expect("the store answers");
    }
}

/// A failover from a server of this test to another one, which `demote` makes read-only.
async fn fails_over(demote: impl AsyncFnOnce(&mut Server)) {
    let (mut old, new) = (Server::start(), postgres_server::url());
    let schema = format!("tss_{}", uuid::Uuid::new_v4().simple());
    let clock = clock();
    for url in [&old.url, new] {
        run(url, format!("CREATE SCHEMA {schema}")).await;
        let store = connect(in_schema(url, &schema), &clock).await;
        store.migrate().await.expect("the migration succeeds");
        for sid in ["s", "ended"] {
            begin(&store, sid).await;
        }
    }
    let address = PrimaryAddress::new(&old.url).await;
    let store = connect(in_schema(&address.url(), &schema), &clock).await;
    let known = store.touch(keys("s"), touch(NOW)).await.expect("the store answers");
    assert_eq!(known, TouchOutcome::Active(Some(NOW)));
    fill_pools(&store).await;

    demote(&mut old).await;
    let mut sids = (0..).map(|n| format!("t{n}"));
    let mut begun = || {
        store.begin(SignIn::new(
            record(&sids.next().expect("there is no end")),
            audit("session_started"),
        ))
    };
    while begun().await.is_ok() {}
    // What a server says that is read-only is not believed.
    assert!(store.0.sync().await.is_err());
    assert!(store.get(keys("unread")).await.is_err());
    assert!(store.rotate(rotation("s", 0, "first")).await.is_err());
    assert!(store.write_tombstone(tombstone(key("s"), NOW + DAY)).await.is_err());
    let scope = Scope::User(scopes().user);
    assert!(store.sessions(scope, ListQuery::first(9), NOW).await.is_err());
    clock.advance(SYNC * 3);
    let known = store.touch(keys("s"), touch(NOW)).await.expect("the last reading is recent");
    assert_eq!(known, TouchOutcome::Active(Some(NOW)));
    clock.advance(Duration::from_millis(1));
    assert!(store.touch(keys("s"), touch(NOW)).await.is_err(), "no reading has counted since");

    // A session ends on another node, which has found the new server.
    let other = connect(in_schema(new, &schema), &clock).await;
    other.write_tombstone(tombstone(key("ended"), NOW + DAY)).await.expect("the store answers");
    address.lead_to(new);
    store.0.database.recovered().await;
    begun().await.expect("the first sign-in succeeds");
    let ended = store.touch(keys("ended"), touch(NOW)).await.expect("the first reading succeeds");
    assert_eq!(ended, TouchOutcome::Ended);
    // It is no standby of the old server, so the node takes it for one that has lost data.
    clock.advance(SYNC * 2);
    let rotated =
        store.rotate(rotation("s", 0, "first")).await.expect("the first refresh succeeds");
    assert_eq!(rotated, Rotated::Done);
    let listed = store.sessions(scope, ListQuery::first(9), NOW).await;
    assert_eq!(listed.expect("the first list succeeds").items.len(), 2);
    run(new, format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[tokio::test]
async fn p23_a_pool_leaves_a_server_that_becomes_read_only() {
    fails_over(async |old| {
        run(&old.url, "ALTER SYSTEM SET default_transaction_read_only = on".to_owned()).await;
        run(&old.url, "SELECT pg_reload_conf()".to_owned()).await;
    })
    .await;
}

#[tokio::test]
async fn p23_a_pool_leaves_a_server_that_becomes_a_standby() {
    fails_over(async |old| old.demote()).await;
}

/// Before anything has told that the old server is read-only.
#[tokio::test]
async fn p23_the_first_read_after_a_failover_comes_from_the_new_server() {
    let (old, new) = (Server::start(), postgres_server::url());
    let schema = format!("tss_{}", uuid::Uuid::new_v4().simple());
    let clock = clock();
    for url in [&old.url, new] {
        run(url, format!("CREATE SCHEMA {schema}")).await;
        let store = connect(in_schema(url, &schema), &clock).await;
        store.migrate().await.expect("the migration succeeds");
    }
    let address = PrimaryAddress::new(&old.url).await;
    let store = connect(in_schema(&address.url(), &schema), &clock).await;
    // Every connection that requests read with is open, and idle.
    let sql = "SELECT seq FROM tss_change_seq";
    let reads: Vec<_> = (0..64)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.0.database.fetch(sql, Args::new()).await.is_ok() })
        })
        .collect();
    for read in reads {
        assert!(read.await.expect("no panic"));
    }
    run(&old.url, "ALTER SYSTEM SET default_transaction_read_only = on".to_owned()).await;
    run(&old.url, "SELECT pg_reload_conf()".to_owned()).await;
    // Each connection is told of the setting in its own time.
    let sql = "SELECT current_setting('default_transaction_read_only')";
    let mut in_a_row = 0;
    while in_a_row < 50 {
        let setting = store.0.database.fetch_written(sql, Args::new()).await;
        let setting = setting.map_err(StoreError::from).expect("the server answers");
        let setting = setting[0].text(0).map_err(StoreError::from).expect("a text");
        in_a_row = if setting == "on" { in_a_row + 1 } else { 0 };
    }
    address.lead_to(new);
    let read = store.get(keys("unread")).await.expect("a new connection leads to it");
    assert_eq!(read, StoredSession::Unknown);
    run(new, format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[tokio::test]
async fn p23_a_pool_leaves_a_server_that_does_not_answer() {
    let (url, schema) = (postgres_server::url(), postgres_server::new_schema());
    let address = PrimaryAddress::new(url).await;
    let store = connect(in_schema(&address.url(), &schema), &clock()).await;
    store.migrate().await.expect("the migration succeeds");
    fill_pools(&store).await;
    address.silence();
    while store.get(keys("lost")).await.is_ok() {}
    store.0.database.recovered().await;
    // As many calls as there are connections in each pool.
    let scopes = |number: usize| Scopes::new(None, None, &number.to_string());
    let record =
        |number| SessionRecord { scopes: scopes(number), ..record(&format!("after{number}")) };
    let begun =
        (0..7).map(|n| tokio::spawn(store.begin(SignIn::new(record(n), audit("session_started")))));
    let read = (0..3).map(|n| tokio::spawn(store.get(keys(&format!("unknown{n}")))));
    let (begun, read): (Vec<_>, Vec<_>) = (begun.collect(), read.collect());
    for task in begun {
        task.await.expect("the task completes").expect("another connection serves the sign-in");
    }
    for task in read {
        task.await.expect("the task completes").expect("another connection serves the read");
    }
    store.0.sync().await.expect("the node syncs");
    run(url, format!("DROP SCHEMA {schema} CASCADE")).await;
}

/// A database of its own, so that its connections can be counted and ended.
async fn own_database() -> (String, String) {
    let (base, name) = (postgres_server::url(), format!("tss_{}", uuid::Uuid::new_v4().simple()));
    run(base, format!("CREATE DATABASE {name}")).await;
    let (server, _) = base.rsplit_once('/').expect("an address names its database");
    (name.clone(), format!("{server}/{name}"))
}

#[tokio::test]
async fn p23_a_restart_of_the_server_fails_no_call() {
    let (name, address) = own_database().await;
    let store = connect(address, &clock()).await;
    store.migrate().await.expect("the migration succeeds");
    begin(&store, "s").await;
    fill_pools(&store).await;
    let end = async || {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
        run(postgres_server::url(), format!("{end} = '{name}'")).await;
    };
    end().await;
    begin(&store, "t").await;
    end().await;
    store.0.sync().await.expect("the node syncs");
    end().await;
    let rotated = store.rotate(rotation("s", 0, "first")).await;
    assert_eq!(rotated.expect("the store answers"), Rotated::Done);
    end().await;
    let stored = store.get(keys("unknown")).await.expect("the store answers");
    assert_eq!(stored, StoredSession::Unknown);
    end().await;
    store.touch(keys("unknown"), touch(NOW)).await.expect("the store answers");
    end().await;
    store.0.clean(NOW).await.expect("the cleanup succeeds");
    store.0.database.close().await;
    run(postgres_server::url(), format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

#[tokio::test]
async fn p23_a_server_that_loses_and_refuses_connections_is_not_asked_after_three_calls() {
    let (name, address) = own_database().await;
    let store = connect(address, &clock()).await;
    store.migrate().await.expect("the migration succeeds");
    fill_pools(&store).await;
    run(postgres_server::url(), format!("DROP DATABASE {name} WITH (FORCE)")).await;
    // A connection that is lost is no answer, of whichever pool it is.
    for _ in 0..2 {
        let read = store.0.database.fetch("SELECT seq FROM tss_change_seq", Args::new()).await;
        assert!(read.is_err(), "the database is gone");
    }
    let begun = store.begin(SignIn::new(record("t"), audit("session_started"))).await;
    begun.expect_err("the database is gone");
    let (pools, _) = store.0.database.postgres().expect("it is Postgres");
    assert!(pools.breaker.as_ref().expect("a server has a breaker").is_open());
}

#[tokio::test]
async fn p23_the_server_that_is_found_takes_writes_and_idle_connections_are_closed() {
    let options: PgConnectOptions = postgres_server::url().parse().expect("it is an address");
    let pool = PgPoolOptions::new().connect_with(options.clone()).await;
    let pool = pool.expect("the server answers");
    let read_only = options.clone().options([("default_transaction_read_only", "on")]);
    for (options, is_found) in [(read_only, false), (options, true)] {
        let probe = super::super::connect::probe(options, vec![pool.clone()]);
        assert_eq!(pool.num_idle(), 1);
        assert_eq!(probe().await, is_found);
    }
    assert_eq!(pool.num_idle(), 0);
}

/// Drops `call` after it was polled that often. Returns whether it completed before.
pub(super) async fn is_done_after<F: Future>(call: F, polls: usize) -> bool {
    let mut call: Pin<Box<F>> = Box::pin(call);
    let mut left = polls;
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn p23_a_caller_that_gives_up_leaves_no_transaction_open() {
    let (name, address) = own_database().await;
    // The server ends no transaction by itself.
    let address = format!("{address}?options[idle_in_transaction_session_timeout]=0");
    let store = connect(address, &clock()).await;
    store.migrate().await.expect("the migration succeeds");
    let open = format!(
        "SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = '{name}' AND state LIKE 'idle in transaction%'"
    );
    let witness = connect(postgres_server::url().to_owned(), &clock()).await;
    let mut abandoned = 0;
    for polls in 0..12 {
        let begun =
            store.begin(SignIn::new(record(&format!("s{polls}")), audit("session_started")));
        // How many polls a call takes depends on how fast the server answers.
        if is_done_after(begun, polls).await {
            continue;
        }
        abandoned += 1;
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let rows = witness.0.database.fetch(open.clone(), Args::new()).await;
                let rows = rows.map_err(StoreError::from).expect("the server answers");
                if rows[0].count(0).map_err(StoreError::from).expect("it is a count") == 0 {
                    break;
                }
            }
        })
        .await
        .expect("no transaction stays open");
    }
    assert!(abandoned > 0, "the first poll only sends a statement");
    store.0.database.close().await;
    run(postgres_server::url(), format!("DROP DATABASE {name} WITH (FORCE)")).await;
}
