//! While the database does not answer.

use super::*;
use crate::store::{Rotated, SessionStore as _, StoredSession, TokenState, TouchOutcome};

#[tokio::test]
async fn p23_an_outage_admits_only_who_was_surely_not_revoked() {
    for home in Home::all().await {
        let clock = clock();
        let store = home.node(&clock).await;
        begin(&store, "s").await;
        // Read by this test alone: the background task would race it for the news.
        store.0.task.get().expect("there is one").abort();
        home.run("ALTER TABLE tss_change_seq RENAME TO elsewhere").await;
        home.run("ALTER TABLE tss_sessions RENAME TO tss_elsewhere").await;

        clock.advance(SYNC * 3);
        let at = NOW + INTERVAL;
        let touched = store.touch(key("s"), touch(at)).await.expect("a failed write rejects none");
        assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        assert_eq!(store.get(key("s")).await.expect("it answers"), StoredSession::Active(at));
        assert!(store.touch(key("other"), touch(at)).await.is_err());
        assert!(store.get(key("other")).await.is_err());
        assert!(store.write_tombstone(key("s"), NOW + DAY).await.is_err());

        clock.advance(Duration::from_millis(1));
        assert!(store.touch(key("s"), touch(at)).await.is_err());
        assert!(store.get(key("s")).await.is_err());

        home.run("ALTER TABLE elsewhere RENAME TO tss_change_seq").await;
        home.run("ALTER TABLE tss_elsewhere RENAME TO tss_sessions").await;
        let touched = store.touch(key("s"), touch(at)).await.expect("it recovers by itself");
        assert_eq!(touched, TouchOutcome::Active(Some(at)));
        assert_eq!(store.get(key("s")).await.expect("it answers"), StoredSession::Active(at));
        home.leave().await;
    }
}

#[tokio::test]
async fn a_tombstone_needs_no_database() {
    for home in Home::all().await {
        let clock = clock();
        let store = home.node(&clock).await;
        store.write_tombstone(key("s"), NOW + DAY).await.expect("it ends");
        store.0.database.close().await;
        let touched = store.touch(key("s"), touch(NOW)).await.expect("it is known here");
        assert_eq!(touched, TouchOutcome::Ended);
        home.leave().await;
    }
}

#[tokio::test]
async fn a_write_that_takes_long_rejects_nothing() {
    for home in Home::all().await {
        let clock = clock();
        let store = home.node(&clock).await;
        begin(&store, "s").await;
        // Held by another: the touch waits behind it until its limit.
        let guard = store.0.turn_of(&key("s")).lock().await;
        let touched = tokio::spawn(store.touch(key("s"), touch(NOW + INTERVAL)));
        while !touched.is_finished() {
            clock.advance(Duration::from_millis(1));
            tokio::task::yield_now().await;
        }
        let touched = touched.await.expect("it ends").expect("it is admitted");
        assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        drop(guard);
        home.leave().await;
    }
}

/// A database of its own, that can be shut while the server goes on.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p23_a_database_that_is_gone_and_comes_back() {
    let base = postgres_server::url();
    let name = format!("tss_{}", uuid::Uuid::new_v4().simple());
    run(base, format!("CREATE DATABASE {name}")).await;
    let (server, _) = base.rsplit_once('/').expect("an address names its database");
    let store = SqlStore::at(format!("{server}/{name}")).clock(clock()).sync_interval(SYNC);
    let store = store.connect().await.expect("the database is there");
    store.migrate().await.expect("the tables are made");
    begin(&store, "s").await;
    store.write_tombstone(key("over"), NOW + DAY).await.expect("it ends");

    run(base, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
    run(base, format!("{ends} = '{name}'")).await;
    assert!(store.begin(record("t"), audit("session_started")).await.is_err());
    assert!(store.refresh_state(query("s", "r1")).await.is_err());
    assert!(store.rotate(rotation("s", "r1", "r2")).await.is_err());
    assert!(store.write_tombstone(key("s"), NOW + DAY).await.is_err());
    assert!(store.touch(key("stranger"), touch(NOW)).await.is_err());
    let known = store.touch(key("s"), touch(NOW)).await.expect("it was seen a moment ago");
    assert_eq!(known, TouchOutcome::Active(Some(NOW)));
    let over = store.touch(key("over"), touch(NOW)).await.expect("it is known to be over");
    assert_eq!(over, TouchOutcome::Ended);

    run(base, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    let rotated = store.rotate(rotation("s", "r1", "r2")).await;
    assert_eq!(rotated.expect("it recovers by itself"), Rotated::Done, "nothing was used up");
    store.begin(record("t"), audit("session_started")).await.expect("it recovers by itself");
    store.0.database.close().await;
    run(base, format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

/// Another process writes to the file and does not end.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn p23_a_file_that_is_locked_and_let_go() {
    for home in Home::all().await.into_iter().filter(|home| home.file.is_some()) {
        let store = home.node(&clock()).await;
        begin(&store, "s").await;
        let other = Database::connect(&home.address, None).await.map_err(StoreError::from);
        let other = other.expect("the file is there");
        let locked = other.execute("BEGIN IMMEDIATE".to_owned(), Args::new()).await;
        locked.map_err(StoreError::from).expect("nobody writes");
        assert!(store.rotate(rotation("s", "r1", "r2")).await.is_err());
        assert!(store.write_tombstone(key("s"), NOW + DAY).await.is_err());
        let known = store.touch(key("s"), touch(NOW)).await.expect("it was seen a moment ago");
        assert_eq!(known, TouchOutcome::Active(Some(NOW)));
        other.close().await;
        let rotated = store.rotate(rotation("s", "r1", "r2")).await;
        assert_eq!(rotated.expect("it recovers by itself"), Rotated::Done, "nothing was used up");
    }
}

/// There is no room left on the disk.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn p23_a_file_that_is_full_and_gets_room() {
    for home in Home::all().await.into_iter().filter(|home| home.file.is_some()) {
        let store = home.node(&clock()).await;
        begin(&store, "s").await;
        let limit = async |pages: u32| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            let set = store.0.database.execute(sql, Args::new()).await;
            set.map_err(StoreError::from).expect("the one that writes is limited");
        };
        limit(1).await;
        let mut begun = 0;
        while store.begin(record(&begun.to_string()), audit("session_started")).await.is_ok() {
            begun += 1;
            assert!(begun < 10_000, "the file has no end");
        }
        let state = store.refresh_state(query("s", "r1")).await.expect("it still answers");
        assert_eq!(state.token, TokenState::Unused);
        let known = store.touch(key("s"), touch(NOW)).await.expect("it was seen a moment ago");
        assert_eq!(known, TouchOutcome::Active(Some(NOW)));
        limit(1_000_000).await;
        let rotated = store.rotate(rotation("s", "r1", "r2")).await;
        assert_eq!(rotated.expect("it recovers by itself"), Rotated::Done);
    }
}
