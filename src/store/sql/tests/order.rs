//! News are heard in the order in which they are committed, and none is passed over.

use super::*;
use crate::store::{
    SessionStore as _, StoredSession,
    sql::change_feed::{Change, ChangeFeed},
};

#[tokio::test]
async fn p23_news_that_commit_late_are_not_passed_over() {
    for home in Home::all().await {
        let (slow, quick, third) =
            (home.node(&clock()).await, home.node(&clock()).await, home.node(&clock()).await);
        for sid in ["slow", "quick"] {
            begin(&third, sid).await;
        }
        let mut tx = slow.0.database.begin(NOW).await.map_err(StoreError::from).expect("it begins");
        let feed =
            ChangeFeed::lock(&mut tx).await.map_err(StoreError::from).expect("it has a turn");
        let ended = tokio::spawn(quick.write_tombstone(key("quick"), NOW + DAY));
        for _ in 0..50 {
            third.0.sync().await.expect("it listens");
        }
        assert!(!ended.is_finished(), "it waits for the turn before");
        let changes = Change::Revoked { session: key("slow"), until: NOW + DAY };
        let announced = feed.publish(&mut tx, &[changes]).await.map_err(StoreError::from);
        announced.expect("it is announced");
        tx.commit().await.map_err(StoreError::from).expect("it commits");
        ended.await.expect("it ends").expect("it ends");
        third.0.sync().await.expect("it listens");
        for sid in ["slow", "quick"] {
            assert_eq!(third.get(key(sid)).await.expect("it answers"), StoredSession::Ended);
        }
        home.leave().await;
    }
}

#[tokio::test]
async fn more_news_than_one_statement_carries_are_all_heard() {
    for home in Home::all().await {
        let (store, other) = (home.node(&clock()).await, home.node(&clock()).await);
        let sid = |number: usize| format!("s{number}");
        let until = NOW + DAY;
        let changes: Vec<_> =
            (0..1201).map(|n| Change::Revoked { session: key(&sid(n)), until }).collect();
        let mut tx =
            store.0.database.begin(NOW).await.map_err(StoreError::from).expect("it begins");
        let feed =
            ChangeFeed::lock(&mut tx).await.map_err(StoreError::from).expect("it has a turn");
        let announced = feed.publish(&mut tx, &changes).await.map_err(StoreError::from);
        announced.expect("it is announced");
        tx.commit().await.map_err(StoreError::from).expect("it commits");
        store.write_tombstone(key("after"), until).await.expect("it ends");
        let before = other.statements();
        other.0.sync().await.expect("it listens");
        assert_eq!(other.statements() - before, 3);
        for sid in (0..1201).map(sid).chain(["after".to_owned()]) {
            let peeked = other.get(key(&sid)).try_ready().expect("it was sync_state");
            assert_eq!(peeked.expect("it is known"), StoredSession::Ended);
        }
        home.leave().await;
    }
}
