//! A transaction that crashes at any statement changes nothing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::*;
use crate::{
    maybe_ready::MaybeReady,
    store::{ListQuery, RefreshState, SessionStore as _},
};

/// The number of the statement at which a node has crashed.
const CRASHED: u64 = u64::MAX;

/// A node whose task panics before the statement of that number.
async fn crashing_node(database: &TestDatabase, crashes_at: &Arc<AtomicU64>) -> SqlStore {
    let crashes_at = Arc::clone(crashes_at);
    let store = SqlStore::at(&database.address).clock(clock()).before_statement(move |number| {
        let crashes = crashes_at.compare_exchange(number, CRASHED, Relaxed, Relaxed).is_ok();
        assert!(!crashes, "crash");
    });
    store.connect().await.expect("the database is reachable")
}

/// Everything that can be read of the one session, its token and its log.
async fn seen(store: &SqlStore) -> (RefreshState, usize, usize, Option<Timestamp>) {
    let state = store.refresh_state(query("s")).await.expect("the store answers");
    let scope = Scope::User(scopes().user);
    let listed = store.sessions(scope, ListQuery::first(10), NOW).await.expect("the store answers");
    let rows = store.audit_log(scope, ListQuery::first(100)).await.expect("the store answers");
    store.0.sync().await.expect("the node syncs");
    let cutoff = store.revocations().and_then(|it| it.cutoff_of(&scopes().user));
    (state, listed.items.len(), rows.items.len(), cutoff)
}

/// Crashes before each statement of `step` in turn, until it completes. Returns how often it
/// crashed.
async fn crash_everywhere<T: Unpin + Send + 'static>(
    database: &TestDatabase,
    step: impl Fn(&SqlStore) -> MaybeReady<T>,
) -> u64 {
    let witness = database.node(&clock()).await;
    for statement in 1.. {
        let before = seen(&witness).await;
        let crashes_at = Arc::default();
        let store = crashing_node(database, &crashes_at).await;
        crashes_at.store(store.statements() + statement, Relaxed);
        let done = tokio::spawn(step(&store)).await;
        if crashes_at.load(Relaxed) != CRASHED {
            done.expect("the task completes").expect("the store answers");
            assert_ne!(seen(&witness).await, before, "the step has its effect");
            return statement - 1;
        }
        assert_eq!(seen(&witness).await, before, "crash at statement {statement}");
    }
    unreachable!("a step has an end")
}

#[tokio::test]
async fn p05_a_transaction_is_atomic() {
    for database in TestDatabase::all().await {
        let is_postgres = database.schema.is_some();
        let lock = u64::from(is_postgres);
        let begun =
            |store: &SqlStore| store.begin(SignIn::new(record("s"), audit("session_started")));
        assert_eq!(crash_everywhere(&database, begun).await, 4 + lock);
        let rotated = |store: &SqlStore| store.rotate(rotation("s", 0, "first"));
        assert_eq!(crash_everywhere(&database, rotated).await, 1);
        let revoked = |store: &SqlStore| store.revoke_all(of_user(Exempt::None));
        assert_eq!(crash_everywhere(&database, revoked).await, 7);
        let again =
            |store: &SqlStore| store.begin(SignIn::new(record("t"), audit("session_started")));
        assert_eq!(crash_everywhere(&database, again).await, 4 + lock);
        let ended = |store: &SqlStore| {
            store.revoke(tombstone(key("t"), NOW + DAY), audit("session_revoked"))
        };
        assert_eq!(crash_everywhere(&database, ended).await, if is_postgres { 1 } else { 6 });
        database.remove().await;
    }
}
