//! A step that dies, wherever it dies, has not happened.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::*;
use crate::{
    maybe_ready::MaybeReady,
    store::{ListQuery, RefreshedSession, SessionStore as _, TokenState},
};

/// A node whose task dies before the statement of that number.
async fn mortal_node(home: &Home, dies_at: &Arc<AtomicU64>) -> SqlStore {
    let dies_at = Arc::clone(dies_at);
    let store = SqlStore::at(&home.address)
        .clock(clock())
        .before_statement(move |number| assert_ne!(number, dies_at.load(Relaxed), "it dies"));
    store.connect().await.expect("the database is there")
}

/// Everything that can be seen of the one session, its token and its log.
async fn seen(store: &SqlStore) -> (RefreshedSession, TokenState, usize, usize, Option<Timestamp>) {
    let state = store.refresh_state(query("s", "r1")).await.expect("it answers");
    let scope = Scope::User(scopes().user);
    let listed = store.sessions(scope, ListQuery::first(10), NOW).await.expect("it answers");
    let rows = store.audit_log(scope, ListQuery::first(100)).await.expect("it answers");
    store.0.sync().await.expect("it listens");
    let mark = store.revocations().and_then(|it| it.cutoff_of(&scopes().user));
    (state.session, state.token, listed.items.len(), rows.items.len(), mark)
}

/// Dies before each statement of `step` in turn, until it lives; how often it died.
async fn die_everywhere<T: Unpin + Send + 'static>(
    home: &Home,
    step: impl Fn(&SqlStore) -> MaybeReady<T>,
) -> u64 {
    let witness = home.node(&clock()).await;
    for statement in 1.. {
        let before = seen(&witness).await;
        let dies_at = Arc::default();
        let store = mortal_node(home, &dies_at).await;
        dies_at.store(store.statements() + statement, Relaxed);
        if let Ok(done) = tokio::spawn(step(&store)).await {
            done.expect("the store answers");
            assert_ne!(seen(&witness).await, before, "it has happened");
            return statement - 1;
        }
        assert_eq!(seen(&witness).await, before, "dead at statement {statement}");
    }
    unreachable!("a step has an end")
}

#[tokio::test]
async fn p05_a_step_happens_whole_or_not_at_all() {
    for home in Home::all().await {
        let lock = u64::from(home.schema.is_some());
        let begun = |store: &SqlStore| store.begin(record("s"), audit("session_started"));
        assert_eq!(die_everywhere(&home, begun).await, 4 + lock);
        let rotated = |store: &SqlStore| store.rotate(rotation("s", "r1", "r2"));
        assert_eq!(die_everywhere(&home, rotated).await, 4);
        let revoked = |store: &SqlStore| store.revoke_all(everywhere(Exempt::None));
        assert_eq!(die_everywhere(&home, revoked).await, 7 + lock);
        let again = |store: &SqlStore| store.begin(record("t"), audit("session_started"));
        assert_eq!(die_everywhere(&home, again).await, 4 + lock);
        let ended = |store: &SqlStore| store.revoke(key("t"), NOW + DAY, audit("session_revoked"));
        assert_eq!(die_everywhere(&home, ended).await, 7);
        home.leave().await;
    }
}
