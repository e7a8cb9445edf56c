//! Revocations that wait at the same time.

use super::*;
use crate::store::{
    ListQuery, SessionStore as _, StoredSession,
    sql::revocation::{Revoke, RevokeSeveral},
    tombstone::MAX_UNFOLDED,
};

fn user(number: usize) -> Scopes {
    Scopes::new(None, Some("acme"), &format!("user {number}"))
}

fn keys_of(number: usize) -> SessionKeys {
    SessionKeys::new(key(&format!("session {number}")), user(number).user)
}

fn ends(keys: SessionKeys) -> Tombstone {
    tombstone(keys.session, NOW + DAY).of_user(keys.user, None)
}

fn ended(user: StoreKey) -> AuditRecord {
    let subject = AuditSubject::from_scope(Scope::User(user));
    AuditRecord::new(NOW, AuditEvent::from_stored("session_ended", "{}"), subject)
}

/// Calls the store for each at the same time.
async fn revoke(store: &SqlStore, ends: Vec<SessionKeys>) -> Vec<Result<bool, StoreError>> {
    let revoke = |keys: SessionKeys| store.revoke(self::ends(keys), ended(keys.user));
    let revoking: Vec<_> = ends.into_iter().map(revoke).map(tokio::spawn).collect();
    let mut revoked = Vec::new();
    for revoking in revoking {
        revoked.push(revoking.await.expect("the task completes"));
    }
    revoked
}

#[tokio::test]
async fn p24_sign_outs_that_wait_are_committed_by_one_statement() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let before = store.statements();
        let revoked = revoke(&store, (0..64).map(keys_of).collect()).await;
        assert!(revoked.into_iter().all(|revoked| revoked.expect("the store answers")));
        // A file: also the beginning, the number of the change, the audit records, the feed and the commit.
        let statements = if database.schema.is_some() { 1 } else { 6 };
        assert_eq!(store.statements() - before, statements, "{store:?}");
        let late = database.node(&clock()).await;
        for number in 0..64 {
            for node in [&store, &late] {
                let stored = node.get(keys_of(number)).await.expect("the store answers");
                assert_eq!(stored, StoredSession::Ended, "{number}");
            }
            let scope = Scope::User(user(number).user);
            let log = store.audit_log(scope, ListQuery::first(9)).await.expect("it answers");
            assert_eq!(log.items.len(), 1, "{number}");
        }
        database.remove().await;
    }
}

#[tokio::test]
async fn p31_one_user_with_too_many_tombstones_fails_alone() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let of_many = user(0).user;
        let tombstones = (0..MAX_UNFOLDED).map(|number| {
            Revoke::new(ends(SessionKeys::new(key(&format!("{number}")), of_many)), None)
        });
        let tombstones: Vec<_> = tombstones.collect();
        store.0.commit(&RevokeSeveral::new(&tombstones)).await.expect("there is room");
        let kept = SessionKeys::new(key("0"), of_many);
        let revoked = revoke(&store, vec![keys_of(1), keys_of(0), kept, keys_of(2)]).await;
        let [first, of_many, kept, second] = &revoked[..] else { panic!("{revoked:?}") };
        for (revoked, number) in [(first, 1), (second, 2)] {
            assert!(revoked.as_ref().is_ok_and(|is_first| *is_first), "{number}: {revoked:?}");
            let stored = store.get(keys_of(number)).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Ended);
        }
        let error = format!("{:?}", of_many.as_ref().expect_err("the user has too many"));
        assert!(error.contains("too many sessions of the user"), "{error}");
        assert!(kept.as_ref().is_ok_and(|is_first| !is_first), "it had ended: {kept:?}");
        database.remove().await;
    }
}

/// A statement could not write its row twice.
#[tokio::test]
async fn p39_a_session_that_ends_twice_at_the_same_time_ends() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let revoked = revoke(&store, vec![keys_of(1), keys_of(1), keys_of(2)]).await;
        let revoked: Result<Vec<_>, _> = revoked.into_iter().collect();
        assert_eq!(revoked.expect("the store answers"), [true, false, true]);
        database.remove().await;
    }
}

/// None waits for ever, and none takes its session for ended.
#[tokio::test]
async fn p23_each_caller_is_told_that_a_statement_has_failed() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        database.refuse_writes().await;
        for (number, revoked) in
            revoke(&store, (0..9).map(keys_of).collect()).await.iter().enumerate()
        {
            revoked.as_ref().expect_err("the database refuses to write");
            let stored = store.get(keys_of(number)).await.expect("the store answers");
            assert_eq!(stored, StoredSession::Unknown);
        }
        database.permit_writes().await;
        let revoked = revoke(&store, vec![keys_of(0)]).await;
        assert!(revoked[0].as_ref().is_ok_and(|is_first| *is_first), "{revoked:?}");
        database.remove().await;
    }
}

/// Others may wait for the same statement.
#[tokio::test]
async fn p23_a_caller_that_is_cut_off_takes_none_of_the_others_with_it() {
    for database in TestDatabase::all().await {
        let store = database.node(&clock()).await;
        let first = tokio::spawn(store.revoke(ends(keys_of(1)), ended(user(1).user)));
        let second = tokio::spawn(store.revoke(ends(keys_of(2)), ended(user(2).user)));
        // Both wait in the queue.
        tokio::task::yield_now().await;
        first.abort();
        assert!(second.await.expect("the task completes").expect("the store answers"));
        database.remove().await;
    }
}
