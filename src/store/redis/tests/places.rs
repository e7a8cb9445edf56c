//! Where sessions and subjects are: what buckets and lists keep, and for how long.

use super::{nodes::*, *};
use crate::{
    identity::{Scope, Scopes},
    store::{SessionRecord, node::GRACE},
};

const BUCKET: &str = "tss:d:000";

async fn place(node: &RedisStore, key: StoreKey, user: StoreKey, [now, until]: [Timestamp; 2]) {
    let placed = node.0.place(BUCKET.into(), key, user, now, until).await;
    placed.map_err(StoreError::from).expect("the server answers");
}

async fn users(node: &RedisStore, key: StoreKey) -> Vec<StoreKey> {
    let users = node.0.users_in(BUCKET.into(), key).await;
    users.map_err(StoreError::from).expect("the server answers")
}

fn life(server: &RedisServer, key: &str) -> u128 {
    server.command(&["PTTL", key]).parse().expect("a life in milliseconds")
}

#[tokio::test]
async fn p15_a_bucket_keeps_each_user_until_the_latest_instant() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let [session, other] = ["s", "other"].map(|sid| StoreKey::session(None, sid));
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|sub| StoreKey::user(None, None, sub));
    place(&node, session, ada, [NOW, NOW + 2 * DAY]).await;
    place(&node, session, bob, [NOW, NOW + DAY]).await;
    assert_eq!(users(&node, session).await, [ada, bob]);
    // It comes later, and counts for less long.
    place(&node, session, ada, [NOW, NOW + DAY]).await;
    assert_eq!(users(&node, session).await, [bob, ada], "the latest last");
    assert!(life(&server, BUCKET) > DAY.as_millis());
    // Each call looks at fields that have expired: this one has not, though one of its users has.
    place(&node, other, eve, [NOW + DAY, NOW + 3 * DAY]).await;
    assert_eq!(users(&node, session).await, [bob, ada]);
    place(&node, session, eve, [NOW + DAY, NOW + DAY + DAY / 2]).await;
    assert_eq!(users(&node, session).await, [ada, eve], "the one that has expired is removed");
    place(&node, other, eve, [NOW + 2 * DAY, NOW + 3 * DAY]).await;
    assert!(users(&node, session).await.is_empty());
    assert_eq!(server.command(&["HLEN", BUCKET]), "1");
}

/// A session of a user of its own, of the account of others.
fn member(name: &str, at: Timestamp, ends_at: Timestamp) -> SessionRecord {
    let scopes = Scopes::new(None, Some("acme"), name);
    SessionRecord { scopes, auth_time: at, epoch: at, ends_at, ..record(name) }
}

#[tokio::test]
async fn p15_p29_a_list_keeps_its_longest_life_and_its_latest_epoch() {
    let server = RedisServer::start();
    let node = node(&server).await;
    let account = Scope::Account(scopes().account.expect("ada has an account"));
    let [list, about] = keys::Keys::new("tss").list(account);
    let text = |key: Vec<u8>| String::from_utf8(key).expect("the key is text");
    let (list, about) = (text(list), text(about));
    let listed = async |name: &str, at: Timestamp, ends_at: Timestamp| {
        let listed = node.0.list(&member(name, at, ends_at), at).await;
        listed.map_err(StoreError::from).expect("the server answers");
        server.command(&["ZCARD", &list])
    };
    let later = NOW + Duration::from_secs(60);
    assert_eq!(listed("ada", later, later + DAY).await, "1");
    // One that began before it, and ends earlier.
    assert_eq!(listed("bob", NOW, NOW + IDLE).await, "2");
    let epoch = node.0.latest_epoch(account).await.map_err(StoreError::from);
    assert_eq!(epoch.expect("the server answers"), Some(later), "a cutoff has to be as late");
    for key in [&list, &about] {
        assert!(life(&server, key) > DAY.as_millis(), "{key}");
    }
    // Those that cannot be active any more are removed with the next sign-in, by the longest life.
    let gone = NOW + DAY + GRACE;
    assert_eq!(listed("eve", gone, gone + IDLE).await, "3");
    let gone = gone + Duration::from_millis(1);
    assert_eq!(listed("joy", gone, gone + IDLE).await, "3", "the one that began first is removed");
}
