//! Changes are read in the order of their commits, and none is skipped.

use super::*;
use crate::store::{SessionStore as _, StoredSession, node::Change, sql::change_feed::ChangeFeed};

#[tokio::test]
async fn p23_changes_that_commit_late_are_not_skipped() {
    for database in TestDatabase::all().await {
        let (slow, quick, third) = (
            database.node(&clock()).await,
            database.node(&clock()).await,
            database.node(&clock()).await,
        );
        for sid in ["slow", "quick"] {
            begin(&third, sid).await;
        }
        let mut tx = slow
            .0
            .database
            .begin(NOW, slow.0.activity_limit())
            .await
            .map_err(StoreError::from)
            .expect("the transaction begins");
        let feed =
            ChangeFeed::lock(&mut tx).await.map_err(StoreError::from).expect("the feed is locked");
        let ended = tokio::spawn(quick.write_tombstone(tombstone(key("quick"), NOW + DAY)));
        for _ in 0..50 {
            third.0.sync().await.expect("the node syncs");
        }
        assert!(!ended.is_finished(), "it waits for the lock of the feed");
        let changes = Change::Revoked { session: key("slow"), until: NOW + DAY };
        let published = feed.publish(&mut tx, &[changes]).await.map_err(StoreError::from);
        published.expect("the change is published");
        tx.commit().await.map_err(StoreError::from).expect("the transaction commits");
        ended.await.expect("the task completes").expect("the task completes");
        third.0.sync().await.expect("the node syncs");
        for sid in ["slow", "quick"] {
            assert_eq!(
                third.get(keys(sid)).await.expect("the store answers"),
                StoredSession::Ended
            );
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn more_changes_than_one_statement_reads_are_all_applied() {
    for database in TestDatabase::all().await {
        let (store, other) = (database.node(&clock()).await, database.node(&clock()).await);
        let sid = |number: usize| format!("s{number}");
        let until = NOW + DAY;
        let changes: Vec<_> =
            (0..1201).map(|n| Change::Revoked { session: key(&sid(n)), until }).collect();
        let mut tx = store
            .0
            .database
            .begin(NOW, store.0.activity_limit())
            .await
            .map_err(StoreError::from)
            .expect("the transaction begins");
        let feed =
            ChangeFeed::lock(&mut tx).await.map_err(StoreError::from).expect("the feed is locked");
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
