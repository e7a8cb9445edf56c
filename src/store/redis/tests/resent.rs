//! Commands that a client sends twice: that of a cluster does after it has lost a connection.

use std::sync::Arc;

use super::{nodes::*, *};
use crate::{
    audit::{AuditEvent, AuditRecord, AuditSubject, SessionEndCause},
    clock::ManualClock,
    store::{LifecycleQueries as _, LifecycleStore, ListQuery, conformance},
};

async fn store_that_sends_twice(server: &RedisServer) -> RedisStore {
    let namespace = uuid::Uuid::new_v4().simple().to_string();
    let store = RedisStore::at(server.url()).time_limit(BOUND).namespace(namespace);
    let store = store.list_everything(true).audit_log(true).clock(ManualClock::new(NOW));
    let store = store.connect().await.expect("the server runs");
    store.0.connection.send_twice();
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p06_p40_the_rules_of_a_store_hold_if_each_command_is_sent_twice() {
    let server = RedisServer::start();
    conformance::lifecycle_store(async || {
        Arc::new(store_that_sends_twice(&server).await) as Arc<dyn LifecycleStore>
    })
    .await;
}

/// The record of the end of a session, whose actor is the user of this name.
fn ended_by(session: StoreKey, name: &str) -> AuditRecord {
    let event = AuditEvent::SessionEnded { cause: SessionEndCause::Revoked };
    let subject = AuditSubject { session: Some(session), ..AuditSubject::default() };
    let user = StoreKey::user(None, None, name);
    let actor = crate::audit::AuditActor { user, sub: None };
    AuditRecord::new(NOW, event, subject).with_actor(Some(actor))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p31_a_caller_who_ends_many_unknown_sessions_leaves_room_for_others() {
    let server = RedisServer::start();
    let store = store(&server).await;
    let ends = async |number: u64, name: &str| {
        let session = StoreKey::session(None, &format!("{name} {number}"));
        let tombstone = Tombstone::new(session, NOW, NOW + DAY);
        store.revoke(tombstone, ended_by(session, name)).await
    };
    for number in 0..4_096 {
        assert!(ends(number, "eve").await.expect("there is room"));
    }
    ends(4_096, "eve").await.expect_err("eve has ended as many as may be kept");
    assert!(!ends(0, "eve").await.expect("it has ended"));
    for name in ["ada", "bob"] {
        assert!(ends(0, name).await.expect("there is room"), "{name}");
    }
    // A node that starts later knows whose they are.
    let late = self::store(&server).await;
    let session = StoreKey::session(None, "eve late");
    let tombstone = Tombstone::new(session, NOW, NOW + DAY);
    late.revoke(tombstone, ended_by(session, "eve")).await.expect_err("there is no room");
}

async fn store(server: &RedisServer) -> RedisStore {
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(ManualClock::new(NOW));
    store.connect().await.expect("the server runs")
}

#[tokio::test]
async fn p40_two_nodes_that_end_an_unknown_session_at_once_log_it_once() {
    let server = RedisServer::start();
    let connect = async || {
        let store = RedisStore::at(server.url()).time_limit(BOUND).audit_log(true);
        let store = store.list_everything(true).clock(ManualClock::new(NOW));
        store.connect().await.expect("the server runs")
    };
    let (one, other) = (connect().await, connect().await);
    for number in 0..50 {
        let session = StoreKey::session(None, &number.to_string());
        let tombstone = Tombstone::new(session, NOW, NOW + DAY);
        let (first, second) = tokio::join!(
            one.revoke(tombstone, ended_by(session, "ada")),
            other.revoke(tombstone, ended_by(session, "bob")),
        );
        let firsts = [first, second].map(|it| u32::from(it.expect("the server answers")));
        assert_eq!(firsts.iter().sum::<u32>(), 1);
    }
    let everything = crate::identity::Scope::Everything(scopes().everything);
    let log = one.audit_log(everything, ListQuery::first(100)).await.expect("the server answers");
    assert_eq!(log.items.len(), 50);
}
