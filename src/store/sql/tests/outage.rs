//! The store during an outage of the database.

use std::{future::poll_fn, pin::pin, task::Poll};

use super::*;
use crate::{
    maybe_ready::MaybeReady,
    store::{
        Rotated, SessionStore as _, StoreOutage, StoredSession, TouchOutcome,
        node::SharedStore as _, turns::tests::all_go_on_with,
    },
};

#[tokio::test]
async fn p23_an_outage_admits_only_sessions_that_are_known_not_to_be_revoked() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let store = database.node(&clock).await;
        begin(&store, "s").await;
        // Only the test syncs: the background task would race it.
        store.0.task.get().expect("it exists").abort();
        database.run("ALTER TABLE tss_change_seq RENAME TO elsewhere").await;
        database.run("ALTER TABLE tss_sessions RENAME TO tss_elsewhere").await;

        clock.advance(SYNC * 3);
        let at = NOW + INTERVAL;
        let touched =
            store.touch(keys("s"), touch(at)).await.expect("a failed write rejects no request");
        assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        assert_eq!(
            store.get(keys("s")).await.expect("the store answers"),
            StoredSession::Active(at)
        );
        assert!(store.touch(keys("other"), touch(at)).await.is_err());
        assert!(store.get(keys("other")).await.is_err());
        assert!(store.write_tombstone(tombstone(key("s"), NOW + DAY)).await.is_err());

        clock.advance(Duration::from_millis(1));
        assert!(store.touch(keys("s"), touch(at)).await.is_err());
        assert!(store.get(keys("s")).await.is_err());

        database.run("ALTER TABLE elsewhere RENAME TO tss_change_seq").await;
        database.run("ALTER TABLE tss_elsewhere RENAME TO tss_sessions").await;
        let touched = store.touch(keys("s"), touch(at)).await.expect("the store recovers");
        assert_eq!(touched, TouchOutcome::Active(Some(at)));
        assert_eq!(
            store.get(keys("s")).await.expect("the store answers"),
            StoredSession::Active(at)
        );
        database.remove().await;
    }
}

#[tokio::test]
async fn p23_a_node_tells_of_its_last_outage_and_of_one_before_it_started() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let store = database.node(&clock).await;
        store.0.task.get().expect("it exists").abort();
        let outage = |from, until| Some(StoreOutage::new(NOW + SYNC * from, NOW + SYNC * until));
        let before = Some(StoreOutage::new(NOW - Duration::from_secs(60), NOW));
        assert_eq!(store.last_outage(), before, "others may have had one");

        clock.advance(SYNC * 20);
        store.get(keys("s")).await.expect("the store answers");
        database.run("ALTER TABLE tss_change_seq RENAME TO elsewhere").await;
        for now in [24, 28] {
            clock.set(NOW + SYNC * now);
            store.get(keys("s")).await.expect_err("the changes cannot be read");
            assert_eq!(store.last_outage(), outage(20, now));
        }
        clock.set(NOW + SYNC * 30);
        assert_eq!(store.last_outage(), outage(20, 30), "it goes on");
        database.run("ALTER TABLE elsewhere RENAME TO tss_change_seq").await;
        store.get(keys("s")).await.expect("the store answers");
        clock.set(NOW + SYNC * 31);
        assert_eq!(store.last_outage(), outage(20, 30));
        database.remove().await;
    }
}

#[tokio::test]
async fn p23_a_cached_tombstone_needs_no_database() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let store = database.node(&clock).await;
        store.write_tombstone(tombstone(key("s"), NOW + DAY)).await.expect("the task completes");
        store.0.database.close().await;
        let touched = store.touch(keys("s"), touch(NOW)).await.expect("the tombstone is cached");
        assert_eq!(touched, TouchOutcome::Ended);
        // Nor is a reading of the changes needed, which has failed for long.
        clock.advance(SYNC * 4);
        let touched = store.touch(keys("s"), touch(NOW)).await.expect("the tombstone is cached");
        assert_eq!(touched, TouchOutcome::Ended);
        let stored = store.get(keys("s")).await.expect("the tombstone is cached");
        assert_eq!(stored, StoredSession::Ended);
        database.remove().await;
    }
}

/// After a restart a node knows no session. Reading suffices: every write fails here.
#[tokio::test]
async fn p23_after_a_restart_a_read_admits_and_the_write_follows() {
    for database in TestDatabase::all().await {
        {
            let store = database.node(&clock()).await;
            begin(&store, "s").await;
        }
        let store = database.node(&clock()).await;
        database.refuse_writes().await;
        let at = NOW + INTERVAL;
        for session in ["s", "unknown"] {
            let touched = store.touch(keys(session), touch(at)).await.expect("the read suffices");
            assert!(matches!(touched, TouchOutcome::Active(_)), "{session} {store:?}");
            assert!(store.flush().await.is_err(), "{store:?}");
        }
        database.permit_writes().await;
        store.flush().await.expect("the writes are repeated");
        let other = database.node(&clock()).await;
        for session in ["s", "unknown"] {
            let stored = other.get(keys(session)).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Active(at), "{session} {store:?}");
        }
        database.remove().await;
    }
}

/// The time limit of a request cuts it off before the database answers.
#[tokio::test]
async fn p23_what_a_request_has_read_is_kept_when_it_is_cut_off() {
    for database in TestDatabase::all().await {
        {
            let store = database.node(&clock()).await;
            begin(&store, "s").await;
        }
        let store = database.node(&clock()).await;
        let before = store.statements();
        let mut touched = pin!(store.touch(keys("s"), touch(NOW + INTERVAL)));
        while store.statements() == before {
            let polled = poll_fn(|cx| Poll::Ready(touched.as_mut().poll(cx))).await;
            assert!(polled.is_pending(), "{store:?}");
            tokio::task::yield_now().await;
        }
        touched.set(MaybeReady::ready(Ok(TouchOutcome::Unknown)));
        // The read has the turn of its session.
        drop(store.0.turns_of(&key("s")).next_unless(|| None::<()>).await);
        let touched = store.touch(keys("s"), touch(NOW + INTERVAL)).try_ready();
        let touched = touched.expect("the answer is at hand").expect("the store answers");
        assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        assert_eq!(store.statements() - before, 1, "{store:?}");
        database.remove().await;
    }
}

/// Under more load than a node bears a reading of the changes takes longer than a request may wait. If
/// each request started it again, every request would fail.
#[tokio::test]
async fn p39_a_reading_of_changes_goes_on_when_its_request_is_cut_off() {
    for database in TestDatabase::all().await {
        let clock = clock();
        let store = database.node(&clock).await;
        store.0.task.get().expect("it exists").abort();
        begin(&store, "s").await;
        clock.advance(4 * store.0.sync_interval);
        assert!(!store.0.is_up_to_date());
        let before = store.statements();
        let at = clock.now();
        let mut touched = pin!(store.touch(keys("s"), touch(at)));
        while store.statements() == before {
            let polled = poll_fn(|cx| Poll::Ready(touched.as_mut().poll(cx))).await;
            assert!(polled.is_pending(), "{store:?}");
            tokio::task::yield_now().await;
        }
        touched.set(MaybeReady::ready(Ok(TouchOutcome::Unknown)));
        // The reading holds this lock.
        drop(store.0.syncing.next_unless(|| None::<()>).await);
        let touched = store.touch(keys("s"), touch(at)).try_ready();
        let touched = touched.expect("the answer is at hand").expect("the store answers");
        assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
        assert_eq!(store.statements() - before, 1, "{store:?}");
        database.remove().await;
    }
}

/// If they went on one after the other, the last ones would be later than a request may wait.
#[tokio::test]
async fn p39_all_requests_that_wait_for_one_reading_go_on_at_once() {
    for database in TestDatabase::all().await {
        {
            let store = database.node(&clock()).await;
            begin(&store, "s").await;
        }
        let clock = clock();
        let store = database.node(&clock).await;
        store.0.task.get().expect("it exists").abort();
        all_go_on_with(0, async || {
            let touched = store.touch(keys("s"), touch(NOW + INTERVAL)).await;
            touched.expect("the store answers")
        })
        .await;
        clock.advance(4 * store.0.sync_interval);
        assert!(!store.0.is_up_to_date());
        all_go_on_with(0, async || store.0.sync_if_stale().await.expect("the store answers")).await;
        database.remove().await;
    }
}

/// A database of its own, which can be closed while the server runs.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p23_the_store_recovers_from_an_outage() {
    let base = postgres_server::url();
    let name = format!("tss_{}", uuid::Uuid::new_v4().simple());
    run(base, format!("CREATE DATABASE {name}")).await;
    let (server, _) = base.rsplit_once('/').expect("an address names its database");
    let store = SqlStore::at(format!("{server}/{name}")).clock(clock()).sync_interval(SYNC);
    let store = store.connect().await.expect("the database is reachable");
    store.migrate().await.expect("the migration succeeds");
    begin(&store, "s").await;
    store.write_tombstone(tombstone(key("ended"), NOW + DAY)).await.expect("the task completes");

    run(base, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname";
    run(base, format!("{ends} = '{name}'")).await;
    assert!(store.begin(SignIn::new(record("t"), audit("session_started"))).await.is_err());
    assert!(store.refresh_state(query("s")).await.is_err());
    assert!(store.rotate(rotation("s", 0, "first")).await.is_err());
    assert!(store.write_tombstone(tombstone(key("s"), NOW + DAY)).await.is_err());
    assert!(store.touch(keys("stranger"), touch(NOW)).await.is_err());
    let known = store.touch(keys("s"), touch(NOW)).await.expect("the session is cached");
    assert_eq!(known, TouchOutcome::Active(Some(NOW)));
    let ended = store.touch(keys("ended"), touch(NOW)).await.expect("the tombstone is cached");
    assert_eq!(ended, TouchOutcome::Ended);

    run(base, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    store.0.database.recovered().await;
    let rotated = store.rotate(rotation("s", 0, "first")).await;
    assert_eq!(rotated.expect("the store recovers"), Rotated::Done, "no token was consumed");
    store
        .begin(SignIn::new(record("t"), audit("session_started")))
        .await
        .expect("the store recovers");
    store.0.database.close().await;
    run(base, format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

/// Another process holds the write lock of the file.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn p23_the_store_recovers_from_a_locked_file() {
    for database in TestDatabase::all().await.into_iter().filter(|it| it.file.is_some()) {
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        let other =
            Database::connect(Source::Address(database.address.clone()), Settings::default(), None)
                .await
                .map_err(StoreError::from);
        let other = other.expect("the file exists");
        let locked = other.execute("BEGIN IMMEDIATE".to_owned(), Args::new()).await;
        locked.map_err(StoreError::from).expect("the file is not locked");
        assert!(store.rotate(rotation("s", 0, "first")).await.is_err());
        assert!(store.write_tombstone(tombstone(key("s"), NOW + DAY)).await.is_err());
        let known = store.touch(keys("s"), touch(NOW)).await.expect("the session is cached");
        assert_eq!(known, TouchOutcome::Active(Some(NOW)));
        other.close().await;
        let rotated = store.rotate(rotation("s", 0, "first")).await;
        assert_eq!(rotated.expect("the store recovers"), Rotated::Done, "no token was consumed");
    }
}

/// The disk is full.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn p23_the_store_recovers_from_a_full_disk() {
    for database in TestDatabase::all().await.into_iter().filter(|it| it.file.is_some()) {
        let store = database.node(&clock()).await;
        begin(&store, "s").await;
        let limit = async |pages: u32| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            let set = store.0.database.execute(sql, Args::new()).await;
            set.map_err(StoreError::from).expect("the file is limited");
        };
        let before = store.refresh_state(query("s")).await.expect("the store answers");
        limit(1).await;
        let mut begun = 0;
        while store
            .begin(SignIn::new(record(&begun.to_string()), audit("session_started")))
            .await
            .is_ok()
        {
            begun += 1;
            assert!(begun < 10_000, "the file is not limited");
        }
        let state = store.refresh_state(query("s")).await.expect("the store answers");
        assert_eq!(state, before);
        let known = store.touch(keys("s"), touch(NOW)).await.expect("the session is cached");
        assert_eq!(known, TouchOutcome::Active(Some(NOW)));
        limit(1_000_000).await;
        let rotated = store.rotate(rotation("s", 0, "first")).await;
        assert_eq!(rotated.expect("the store recovers"), Rotated::Done);
    }
}
