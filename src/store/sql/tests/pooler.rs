//! `PgBouncer` in transaction mode: two statements may run on two connections of the server.

use super::*;
use crate::store::{ListQuery, Rotated, SessionStore as _, StoredSession, TouchOutcome};

/// More sessions than the pooler has connections to the server.
const SESSIONS: usize = 60;

async fn node(schema: &str, clock: &ManualClock) -> SqlStore {
    let store = SqlStore::at(postgres_server::pooler_url()).pooler(true).schema(schema);
    let store = store.clock(clock.clone()).sync_interval(SYNC).pool_size(30);
    store.connect().await.expect("the pooler is reachable")
}

async fn remove(schema: &str) {
    run(postgres_server::url(), format!("DROP SCHEMA {schema} CASCADE")).await;
}

#[tokio::test]
async fn nodes_behind_a_pooler_migrate_once_and_serve_concurrent_sessions() {
    let (schema, clock) = (postgres_server::new_schema(), clock());
    let nodes = [node(&schema, &clock).await, node(&schema, &clock).await];
    let migrated = nodes.clone().map(|it| tokio::spawn(async move { it.migrate().await }));
    for migrated in migrated {
        migrated.await.expect("the task completes").expect("the migration succeeds");
    }
    let lives = (0..SESSIONS).map(|number| {
        let [here, there] = nodes.clone();
        tokio::spawn(live(here, there, format!("s{number}")))
    });
    for life in lives.collect::<Vec<_>>() {
        life.await.expect("the task completes");
    }
    let scope = Scope::Account(scopes().account.expect("it exists"));
    let listed = nodes[0].sessions(scope, ListQuery::first(200), NOW).await;
    assert_eq!(listed.expect("the store answers").items.len(), 0);
    nodes[1].0.clean(NOW + DAY * 2).await.expect("the cleanup succeeds");
    remove(&schema).await;
}

/// One session from its sign-in to its end, on two nodes.
async fn live(here: SqlStore, there: SqlStore, name: String) {
    let scopes = Scopes::new(None, Some("acme"), &name);
    let record = SessionRecord { sub: name.clone(), scopes, ..record(&name) };
    here.begin(SignIn::new(record, audit("session_started"))).await.expect("the session begins");
    let touched = there.touch(keys(&name), touch(NOW + INTERVAL)).await.expect("the store answers");
    assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
    let query = RefreshQuery { scopes, ..query(&name) };
    there.refresh_state(query).await.expect("the store answers");
    let rotation = Rotation { query, ..rotation(&name, 0, "first") };
    assert_eq!(there.rotate(rotation).await.expect("the store answers"), Rotated::Done);
    let user = Scope::User(scopes.user);
    let listed = here.sessions(user, ListQuery::first(9), NOW).await.expect("the store answers");
    assert_eq!(listed.items.len(), 1);
    assert!(here.session(key(&name), NOW).await.expect("the store answers").is_some());
    let unknown = there.get(keys(&format!("{name}-unknown"))).await.expect("the store answers");
    assert_eq!(unknown, StoredSession::Unknown);
    let revoked = here.revoke(tombstone(key(&name), NOW + DAY), audit("session_revoked")).await;
    assert!(revoked.expect("the store answers"));
    there.0.sync().await.expect("the node syncs");
    let ended = there.get(keys(&name)).await.expect("the store answers");
    assert_eq!(ended, StoredSession::Ended);
}

#[tokio::test]
async fn a_node_behind_a_pooler_and_one_beside_it_share_sessions() {
    let (schema, clock) = (postgres_server::new_schema(), clock());
    let behind = node(&schema, &clock).await;
    behind.migrate().await.expect("the migration succeeds");
    let beside = SqlStore::at(postgres_server::url()).schema(&schema).clock(clock.clone());
    let beside = beside.connect().await.expect("the database is reachable");
    beside.migrate().await.expect("the schema is current");
    begin(&beside, "s").await;
    let touched = behind.touch(keys("s"), touch(NOW)).await.expect("the store answers");
    assert_eq!(touched, TouchOutcome::Active(Some(NOW)));
    behind.write_tombstone(tombstone(key("s"), NOW + DAY)).await.expect("the store answers");
    beside.0.sync().await.expect("the node syncs");
    assert_eq!(beside.get(keys("s")).await.expect("the store answers"), StoredSession::Ended);
    remove(&schema).await;
}

/// A pooler gives the connection of a client that gives up to another one.
#[tokio::test]
async fn p23_a_caller_that_gives_up_leaves_the_pooler_no_transaction() {
    let (schema, clock) = (postgres_server::new_schema(), clock());
    let store = node(&schema, &clock).await;
    store.migrate().await.expect("the migration succeeds");
    for polls in 0.. {
        let touched = store.touch(keys(&format!("touched{polls}")), touch(NOW));
        let is_touched = super::failover::is_done_after(touched, polls).await;
        let begun =
            store.begin(SignIn::new(record(&format!("begun{polls}")), audit("session_started")));
        let is_begun = super::failover::is_done_after(begun, polls).await;
        // What is written next is committed, and seen by another connection.
        let sid = format!("next{polls}");
        begin(&store, &sid).await;
        let other = SqlStore::at(postgres_server::url()).schema(&schema).clock(clock.clone());
        let other = other.connect().await.expect("the database is reachable");
        let found = other.session(key(&sid), NOW).await.expect("the store answers");
        assert_eq!(found, Some(record(&sid)));
        if is_touched && is_begun {
            break;
        }
    }
    remove(&schema).await;
}
