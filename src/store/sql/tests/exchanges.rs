//! Exchanges of refresh tokens that the database has lost, and those that are sent again.

use super::*;
use crate::store::{RefreshState, Rotated};

async fn rotate(node: &SqlStore, rotation: Rotation) -> Rotated {
    node.rotate(rotation).await.expect("the store answers")
}

async fn generation(node: &SqlStore) -> u32 {
    let state = node.refresh_state(query("s")).await.expect("the store answers");
    let RefreshState::Known(recorded) = state else { panic!("{state:?}") };
    recorded.generation
}

/// Until it is found that the database has lost data.
#[tokio::test]
async fn p22_a_node_refuses_a_token_of_which_it_knows_that_it_was_exchanged() {
    for database in TestDatabase::all().await {
        let [one, other] = [database.node(&clock()).await, database.node(&clock()).await];
        begin(&one, "s").await;
        assert_eq!(rotate(&one, rotation("s", 0, "first")).await, Rotated::Done);
        assert_eq!(generation(&other).await, 1);
        let lose = "UPDATE tss_sessions SET generation = 0, exchanged_at = NULL,
            access_jti = NULL, refresh_jti = NULL";
        database.run(lose).await;
        // One has made the exchange, and the other has read of it.
        for node in [&one, &other] {
            assert_eq!(generation(node).await, 1);
            let rotated = rotate(node, rotation("s", 0, "stolen")).await;
            assert!(matches!(rotated, Rotated::Refused(RefreshState::Known(_))), "{rotated:?}");
        }
        let late = database.node(&clock()).await;
        assert_eq!(generation(&late).await, 0, "nothing was exchanged");
        database.remove().await;
    }
}

#[tokio::test]
async fn p33_a_session_that_has_lost_its_record_is_refreshed_by_whoever_knows_of_an_exchange() {
    for database in TestDatabase::all().await {
        let node = database.node(&clock()).await;
        begin(&node, "s").await;
        assert_eq!(rotate(&node, rotation("s", 0, "first")).await, Rotated::Done);
        database.run("DELETE FROM tss_sessions").await;
        assert_eq!(rotate(&node, rotation("s", 1, "second")).await, Rotated::Done);
        assert_eq!(generation(&node).await, 2);
        database.remove().await;
    }
}

/// The connection may have failed after the exchange was committed.
#[tokio::test]
async fn p33_an_exchange_that_is_sent_again_has_been_made() {
    for database in TestDatabase::all().await {
        let node = database.node(&clock()).await;
        begin(&node, "s").await;
        for _ in 0..2 {
            assert_eq!(rotate(&node, rotation("s", 0, "first")).await, Rotated::Done);
        }
        assert_eq!(generation(&node).await, 1);
        database.remove().await;
    }
}
