//! Lists of sessions on several nodes.

use std::pin::pin;

use super::{nodes::*, *};
use crate::{
    clock::{Clock as _, ManualClock},
    identity::Scope,
    store::{
        BulkRevocation, LifecycleQueries as _, LifecycleStore as _, ListQuery, RevocationCutoff,
        race::{First, race},
    },
};

fn account() -> StoreKey {
    scopes().account.expect("ada has an account")
}

async fn connect(server: &RedisServer, clock: &ManualClock) -> RedisStore {
    let store = RedisStore::at(server.url()).time_limit(BOUND).clock(clock.clone());
    store.audit_log(true).connect().await.expect("the server accepts connections")
}

/// Each list of a user, and of an account, is read alone.
#[tokio::test]
async fn p31_lists_of_one_user_leave_others_served() {
    let server = RedisServer::start();
    let node = connect(&server, &ManualClock::new(NOW)).await;
    begin(&node, "s").await;
    let (user, of_account) = (Scope::User(scopes().user), Scope::Account(account()));
    let others = Scope::User(StoreKey::user(None, None, "bob"));
    let in_flight = node.0.lists.acquire(user.key()).await;
    let of_account_in_flight = node.0.lists.acquire(account()).await;
    let query = || ListQuery::first(9);
    let waiting = async {
        tokio::select! {
            _ = node.sessions(user, query(), NOW) => "the sessions of the user",
            _ = node.audit_log(user, query()) => "the log of the user",
            _ = node.sessions(of_account, query(), NOW) => "the sessions of the account",
            _ = node.active_users(account(), 9, NOW).expect("it has a query") => "the users",
        }
    };
    // The server answers in the order in which it is asked.
    let of_others = async {
        for _ in 0..9 {
            node.sessions(others, query(), NOW).await.expect("the server answers");
            node.audit_log(others, query()).await.expect("the server answers");
        }
    };
    let mut waiting = pin!(waiting);
    if let First::Left(list) = race(waiting.as_mut(), of_others).await {
        panic!("{list} did not wait");
    }
    drop((in_flight, of_account_in_flight));
    tokio::time::timeout(BOUND, waiting).await.expect("it is their turn");
}

#[tokio::test]
async fn p22_a_node_that_is_behind_lists_no_session_that_is_revoked() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    for list in ["sessions", "session", "users"] {
        let (one, other) = (node(&server).await, connect(&server, &clock).await);
        let record = begin(&one, list).await;
        other.0.sync_now().await.expect("the server answers");
        // It hears of no change.
        for task in other.0.tasks.get().expect("they run") {
            task.abort();
        }
        let cutoff = RevocationCutoff::new(NOW + DAY / 2, NOW + DAY);
        let all = BulkRevocation::new(Scope::Account(account()), NOW, cutoff, audit("bulk"));
        one.revoke_all(all).await.expect("the server answers");
        clock.advance(Duration::from_secs(4));
        let listed = match list {
            "sessions" => {
                let page = other.sessions(Scope::Account(account()), ListQuery::first(9), NOW);
                page.await.expect("the server answers").items.len()
            }
            "session" => {
                let session = other.session(record.key, NOW).await;
                usize::from(session.expect("the server answers").is_some())
            }
            _ => {
                let users = other.active_users(account(), 9, NOW).expect("it has a query");
                users.await.expect("the server answers").len()
            }
        };
        assert_eq!(listed, 0, "{list}");
        server.command(&["FLUSHALL"]);
    }
}

#[tokio::test]
async fn p33_a_list_has_the_activity_that_is_not_written_yet() {
    let server = RedisServer::start();
    let clock = ManualClock::new(NOW);
    let node = connect(&server, &clock).await;
    let record = begin(&node, "s").await;
    assert_eq!(touched(&node, &record).await, TouchOutcome::Active(Some(NOW)));
    // Within the interval in which it is written once.
    clock.advance(Duration::from_secs(1));
    let now = clock.now();
    let touch = node.touch(record.keys(), Touch::new(now, NOW, IDLE)).try_ready();
    assert!(matches!(touch, Ok(Ok(TouchOutcome::Active(_)))), "no round trip");
    let idle = NOW + IDLE;
    let page = node.sessions(Scope::User(scopes().user), ListQuery::first(9), idle).await;
    let page = page.expect("the server answers");
    assert_eq!(page.items.first().map(|session| session.last_seen), Some(now));
    let session = node.session(record.key, idle).await.expect("the server answers");
    assert_eq!(session.map(|session| session.last_seen), Some(now));
}
