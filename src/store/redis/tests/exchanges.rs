//! Exchanges of refresh tokens on nodes of which none knows what the others have exchanged.

use super::{nodes::*, *};
use crate::store::{
    LifecycleStore as _, RefreshQuery, RefreshState, RefreshedSession, Rotated, Rotation,
    SessionRecord, SuccessorIds, TokenExchange, redis::record::Stored,
};

fn rotation(record: &SessionRecord, generation: u32, id: &str, at: Timestamp) -> Rotation {
    let query = RefreshQuery::new(record.key, record.epoch, record.scopes);
    let exchange = TokenExchange::new(at, Some(SuccessorIds::new(id.into(), id.into())));
    let rotation = Rotation::new(query, generation, exchange, record.clone());
    Rotation { is_activity: true, ..rotation }
}

async fn rotate(node: &RedisStore, rotation: Rotation) -> Rotated {
    node.rotate(rotation).await.expect("the server answers")
}

async fn stored(node: &RedisStore, record: &SessionRecord) -> RefreshedSession {
    match node.0.stored(record.keys()).await.map_err(StoreError::from) {
        Ok(Some(Stored::Record(record))) => record.refreshed,
        _ => panic!("it has a record"),
    }
}

#[tokio::test]
async fn p06_a_token_that_was_exchanged_on_one_node_is_refused_on_every_other() {
    let server = RedisServer::start();
    let [one, other, third] = [node(&server).await, node(&server).await, node(&server).await];
    let record = begin(&one, "s").await;
    assert_eq!(rotate(&one, rotation(&record, 0, "first", NOW)).await, Rotated::Done);
    let first =
        RefreshedSession::new(NOW).exchanged(1, rotation(&record, 0, "first", NOW).exchange);
    // The same generation, with other successors.
    let refused = rotate(&other, rotation(&record, 0, "stolen", NOW)).await;
    assert_eq!(refused, Rotated::Refused(RefreshState::Known(first)));
    assert_eq!(rotate(&one, rotation(&record, 1, "second", NOW)).await, Rotated::Done);
    let second =
        RefreshedSession::new(NOW).exchanged(2, rotation(&record, 1, "second", NOW).exchange);
    // An earlier generation.
    let refused = rotate(&third, rotation(&record, 0, "stolen", NOW)).await;
    assert_eq!(refused, Rotated::Refused(RefreshState::Known(second.clone())));
    assert_eq!(stored(&third, &record).await, second, "nothing has changed");
}

#[tokio::test]
async fn p12_an_exchange_lowers_nothing_that_other_nodes_have_written() {
    let server = RedisServer::start();
    let [one, other] = [node(&server).await, node(&server).await];
    let minutes = |count: u32| NOW + count * Duration::from_secs(60);
    let record = begin(&one, "s").await;
    assert_eq!(rotate(&one, rotation(&record, 0, "first", NOW)).await, Rotated::Done);
    let mut touch = Touch::new(minutes(3), NOW, IDLE);
    touch.generation = 1;
    one.touch(record.keys(), touch).await.expect("the server answers");
    one.flush().await.expect("the server answers");
    for (generation, at, last_seen) in [(1, minutes(2), minutes(3)), (2, minutes(4), minutes(4))] {
        let exchanged = rotate(&other, rotation(&record, generation, "next", at)).await;
        assert_eq!(exchanged, Rotated::Done);
        let stored = stored(&one, &record).await;
        assert_eq!((stored.last_seen, stored.presented), (last_seen, 1), "{generation}");
    }
}

/// They expire as before when one of them changes, and when one of them ends.
#[tokio::test]
async fn p15_the_records_of_a_user_expire_whatever_becomes_of_one() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let [record, other] = [begin(&node, "s").await, begin(&node, "other").await];
    let key = String::from_utf8(keys::Keys::new("tss").records(record.scopes.user));
    let key = key.expect("the key is text");
    let life = || server.command(&["PTTL", &key]).parse::<i64>().expect("a number");
    assert_eq!(rotate(&node, rotation(&record, 0, "first", NOW)).await, Rotated::Done);
    assert!(life() > 0, "{}", life());
    let touch = Touch::new(NOW + IDLE / 2, NOW, IDLE);
    node.touch(record.keys(), touch).await.expect("the server answers");
    node.flush().await.expect("the server answers");
    assert!(life() > 0, "{}", life());
    let tombstone = Tombstone::new(other.key, NOW, NOW + DAY).of_user(other.scopes.user, None);
    assert!(node.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    assert!(life() > 0, "{}", life());
    let tombstone = Tombstone::new(record.key, NOW, NOW + DAY).of_user(record.scopes.user, None);
    assert!(node.revoke(tombstone, audit("session_ended")).await.expect("it ends"));
    assert_eq!(server.command(&["EXISTS", &key]), "0", "there is no record left");
}
