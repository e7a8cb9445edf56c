//! No change is skipped, in whatever order the transactions commit.

use super::*;
use crate::store::{
    SessionStore as _, StoredSession,
    node::Change,
    sql::{change_feed::ChangeFeed, database::Tx},
};

/// A transaction of a node that has published a change of a session, and is not committed yet.
async fn published(node: &SqlStore, sid: &str) -> Tx {
    let tx = node.0.database.begin(NOW, node.0.activity_limit()).await.map_err(StoreError::from);
    let mut tx = tx.expect("the transaction begins");
    let feed = ChangeFeed::open(&mut tx).await.map_err(StoreError::from);
    let change = Change::Revoked { session: key(sid), user: None, until: NOW + DAY };
    let published = feed.expect("the feed is there").publish(&mut tx, &[change]).await;
    published.map_err(StoreError::from).expect("the change is published");
    tx
}

async fn commit(tx: Tx) {
    tx.commit().await.map_err(StoreError::from).expect("the transaction commits");
}

fn is_ended(node: &SqlStore, sid: &str) -> bool {
    node.0.node_cache.is_tombstone(&key(sid))
}

#[tokio::test]
async fn p23_changes_that_commit_late_are_not_skipped() {
    for database in TestDatabase::all().await {
        let (slow, quick, third) = (
            database.node(&clock()).await,
            database.node(&clock()).await,
            database.node(&clock()).await,
        );
        let tx = published(&slow, "slow").await;
        let ended = tokio::spawn(quick.write_tombstone(tombstone(key("quick"), NOW + DAY)));
        for _ in 0..50 {
            third.0.sync().await.expect("the node syncs");
        }
        assert!(!is_ended(&third, "slow"));
        commit(tx).await;
        ended.await.expect("the task completes").expect("the task completes");
        third.0.sync().await.expect("the node syncs");
        for sid in ["slow", "quick"] {
            assert!(is_ended(&third, sid), "{sid}");
        }
        database.remove().await;
    }
}

/// A node, or another app on the same server, that stops within a transaction stops nobody's
/// revocations.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p23_a_transaction_in_progress_delays_no_other_change() {
    let database = TestDatabase::postgres().await;
    let (slow, quick) = (database.node(&clock()).await, database.node(&clock()).await);
    let other = database.node(&clock()).await;
    other.0.task.get().expect("it exists").abort();
    let first = published(&slow, "first").await;
    let second = published(&slow, "second").await;
    for round in 0..3 {
        let sid = round.to_string();
        begin(&quick, &sid).await;
        quick.write_tombstone(tombstone(key(&sid), NOW + DAY)).await.expect("it does not wait");
        let before = other.statements();
        other.0.sync().await.expect("the node syncs");
        assert!(is_ended(&other, &sid), "{sid}");
        assert_eq!(other.statements() - before, 1, "what was read is not read again");
        assert!(!is_ended(&other, "first") && !is_ended(&other, "second"));
    }
    // Kept for whoever has not read the changes of the transactions in progress.
    commit(second).await;
    slow.0.clean(NOW + Duration::from_secs(3601)).await.expect("it cleans");
    other.0.sync().await.expect("the node syncs");
    assert!(is_ended(&other, "second") && !is_ended(&other, "first"));
    commit(first).await;
    other.0.sync().await.expect("the node syncs");
    assert!(is_ended(&other, "first"));
    database.remove().await;
}

/// Writers that commit in another order than they begin, and some that roll back.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn p23_a_reader_misses_no_change_of_many_writers() {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 12;
    let database = TestDatabase::postgres().await;
    let node = SqlStore::at(&database.address).clock(clock()).sync_interval(SYNC).pool_size(32);
    let node = node.connect().await.expect("the database is reachable");
    node.migrate().await.expect("the migration succeeds");
    let other = database.node(&clock()).await;
    other.0.task.get().expect("it exists").abort();
    let name = |writer: usize, round: usize| format!("{writer} {round}");
    let writers = (0..WRITERS).map(|writer| {
        let node = node.clone();
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                let tx = published(&node, &name(writer, round)).await;
                for _ in 0..writer * round % 7 {
                    tokio::task::yield_now().await;
                }
                if (writer + round) % 5 > 0 {
                    commit(tx).await;
                }
            }
        })
    });
    let mut writers: Vec<_> = writers.collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        other.0.sync().await.expect("the node syncs");
    }
    for writer in &mut writers {
        writer.await.expect("the task completes");
    }
    other.0.sync().await.expect("the node syncs");
    for (writer, round) in (0..WRITERS).flat_map(|it| (0..ROUNDS).map(move |round| (it, round))) {
        let is_committed = (writer + round) % 5 > 0;
        assert_eq!(is_ended(&other, &name(writer, round)), is_committed, "{writer} {round}");
    }
    database.remove().await;
}

#[tokio::test]
async fn more_changes_than_one_statement_reads_are_all_applied() {
    for database in TestDatabase::all().await {
        let (store, other) = (database.node(&clock()).await, database.node(&clock()).await);
        let sid = |number: usize| format!("s{number}");
        let until = NOW + DAY;
        let changes: Vec<_> = (0..1201)
            .map(|n| Change::Revoked { session: key(&sid(n)), user: None, until })
            .collect();
        let mut tx = store
            .0
            .database
            .begin(NOW, store.0.activity_limit())
            .await
            .map_err(StoreError::from)
            .expect("the transaction begins");
        let feed = ChangeFeed::open(&mut tx).await.map_err(StoreError::from);
        let feed = feed.expect("the feed is there");
        let published = feed.publish(&mut tx, &changes).await.map_err(StoreError::from);
        published.expect("the change is published");
        tx.commit().await.map_err(StoreError::from).expect("the transaction commits");
        store.write_tombstone(tombstone(key("after"), until)).await.expect("the task completes");
        let before = other.statements();
        other.0.sync().await.expect("the node syncs");
        assert_eq!(other.statements() - before, 3);
        for sid in (0..1201).map(sid).chain(["after".to_owned()]) {
            let stored = other.get(keys(&sid)).try_ready().expect("it was sync_state");
            assert_eq!(stored.expect("the store answers"), StoredSession::Ended);
        }
        database.remove().await;
    }
}
